"""A small model of moving tenants: capture, catch-up both ways, hold, flip, guard, crash, restore. See docs/protocol.md.

Every state that any interleaving can reach is visited. A row is the set of writes it shows; bringing a row to the other
side replaces the row there. `Mends` switches each mend of the protocol off, so that a test can show that the model finds
what the mend is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

Side = Literal["legacy", "iam"]
SIDES: tuple[Side, Side] = ("legacy", "iam")
T = TypeVar("T")
TENANTS = (0, 1)
MOVED = 0
"""The tenant that is moved; the other one shows that nobody else is touched."""


@dataclass(frozen=True)
class Mends:
    """What the protocol does against each fault of issue E's list; all on in the product."""

    snapshot: bool = True
    """A flip remembers what was committed, not the last id; it waits for those who may have written before."""
    epoch: bool = True
    """A portal that has forgotten a flip stops."""
    exclusive_flip: bool = True
    """The flip locks requests out, and asks whether the hold is still good."""
    fresh_homes: bool = True
    """The guard refuses transactions whose snapshot is older than the last flip."""
    ask_after_commit: bool = True
    """After a COMMIT without an answer the home is asked again; as long as nobody knows, the old side stays closed."""


@dataclass(frozen=True)
class Setup:
    """What is explored. `old_snapshots`: direct writers use REPEATABLE READ."""

    mends: Mends = Mends()
    guard: bool = False
    old_snapshots: bool = False
    through_portal: bool = False
    """The first writer goes through the portal, which asks for the home; else both write directly."""
    answers_get_lost: bool = False
    restores: bool = False


@dataclass(frozen=True)
class Entry:
    id: int
    tenant: int
    write: int
    committed: bool = False


@dataclass(frozen=True)
class Writer:
    """`begun_at` counts the flips when it began; `web` writers wait for a hold."""

    phase: Literal["idle", "begun", "written", "done"] = "idle"
    side: Side = "legacy"
    tenant: int = 0
    begun_at: int = 0
    acknowledged: bool = False


@dataclass(frozen=True)
class State:
    home: tuple[Side, Side] = ("legacy", "legacy")
    rows: tuple[tuple[frozenset[int], frozenset[int]], ...] = ((frozenset(), frozenset()),) * 2  # by side, by tenant
    queue: tuple[frozenset[Entry], frozenset[Entry]] = (frozenset(), frozenset())
    next_id: tuple[int, int] = (1, 1)
    opened: tuple[tuple[bool, bool], tuple[bool, bool]] = (
        (True, True),
        (False, False),
    )  # the guard, by side, by tenant
    writers: tuple[Writer, Writer] = (Writer(), Writer())
    mover: str = "idle"
    hold: Literal["none", "good", "expired"] = "none"
    waits_for: frozenset[int] = frozenset()
    left: tuple[int, frozenset[int]] = (0, frozenset())
    """The last entry and the committed writes when the tenant left legacy."""
    strays: frozenset[int] = frozenset()
    flips: int = 0
    known_flips: int = 0
    """What this portal remembers of them; fewer after a restore."""
    restored: bool = False


def index(side: Side) -> int:
    return SIDES.index(side)


def steps(state: State, setup: Setup) -> Iterator[tuple[str, State]]:
    """Every next state, with what leads to it."""
    for number in range(2):
        yield from _writer(state, setup, number)
    yield from _applier(state, setup)
    yield from _mover(state, setup)
    if setup.restores and state.mover == "done" and not state.restored:
        yield (
            "portal restored from a backup",
            replace(state, home=("legacy", state.home[1]), known_flips=0, restored=True),
        )


def _writer(state: State, setup: Setup, number: int) -> Iterator[tuple[str, State]]:
    writer = state.writers[number]
    web = setup.through_portal and number == 0
    if writer.phase == "idle":
        if web:
            if state.hold != "good" and state.mover != "locked":
                side = state.home[MOVED]
                yield f"request {number} begins", _with(state, number, Writer("begun", side, MOVED, state.flips))
            return
        for side in SIDES if state.flips else SIDES[:1]:
            for tenant in TENANTS:
                begun = Writer("begun", side, tenant, state.flips)
                yield f"writer {number} begins on {side} for {tenant}", _with(state, number, begun)
    elif writer.phase == "begun":
        here = index(writer.side)
        held = setup.guard and state.mover in ("waited", "drained", "closed") and writer.tenant == MOVED and here == 0
        if held:
            return  # the shared lock: it waits until the move has ended
        if setup.guard:
            stale = setup.old_snapshots and writer.begun_at < state.flips
            if stale and setup.mends.fresh_homes:
                yield f"writer {number} starts again", _with(state, number, Writer())
                return
            sees = writer.side == "legacy" if stale else state.opened[here][writer.tenant]
            if not sees:
                yield f"writer {number} is refused", _with(state, number, replace(writer, phase="done"))
                return
        entry = Entry(state.next_id[here], writer.tenant, number)
        queue = _put(state.queue, here, state.queue[here] | {entry})
        ids = _put(state.next_id, here, entry.id + 1)
        yield (
            f"writer {number} writes",
            replace(_with(state, number, replace(writer, phase="written")), queue=queue, next_id=ids),
        )
    elif writer.phase == "written":
        here = index(writer.side)
        queue = frozenset(replace(e, committed=True) if e.write == number else e for e in state.queue[here])
        row = state.rows[here][writer.tenant] | {number}
        rows = _put(state.rows, here, _put(state.rows[here], writer.tenant, row))
        done = replace(writer, phase="done", acknowledged=True)
        yield (
            f"writer {number} commits",
            replace(_with(state, number, done), queue=_put(state.queue, here, queue), rows=rows),
        )


def _applier(state: State, setup: Setup) -> Iterator[tuple[str, State]]:
    if setup.mends.epoch and state.known_flips < state.flips:
        if state.mover == "done":
            yield "adopt", replace(state, home=("iam", state.home[1]), known_flips=state.flips)
        return
    if state.mover in ("closed", "locked"):
        return  # the flip holds the lock under which rows are applied
    for here, side in enumerate(SIDES):
        for entry in state.queue[here]:
            if not entry.committed:
                continue
            settled = replace(state, queue=_put(state.queue, here, state.queue[here] - {entry}))
            if state.home[entry.tenant] == side:
                there = 1 - here
                brought = _put(state.rows[there], entry.tenant, state.rows[here][entry.tenant])
                yield f"apply {entry}", replace(settled, rows=_put(state.rows, there, brought))
            elif _before(state, setup, entry):
                yield f"drop {entry}", settled
            else:
                yield f"stray {entry}", replace(settled, strays=state.strays | {entry.write})


def _before(state: State, setup: Setup, entry: Entry) -> bool:
    last, committed = state.left
    return entry.write in committed if setup.mends.snapshot else entry.id <= last


def _mover(state: State, setup: Setup) -> Iterator[tuple[str, State]]:
    if state.hold == "good" and state.mover != "done":
        yield "the hold expires", replace(state, hold="expired")
    mine = [w for w in state.writers if w.phase == "written" and w.tenant == MOVED and w.side == "legacy"]
    if state.mover == "idle":
        yield "hold", replace(state, mover="holding", hold="good")
    elif state.mover == "holding":
        web_open = setup.through_portal and state.writers[0].phase in ("begun", "written")
        if web_open or (setup.guard and mine):
            if state.hold == "expired":
                yield "give up", replace(state, mover="done", hold="none")
            return
        listed = frozenset(n for n, w in enumerate(state.writers) if w.phase == "written" and w.side == "legacy")
        yield (
            "writers are held",
            replace(state, mover="waited", waits_for=listed if setup.mends.snapshot else frozenset()),
        )
    elif state.mover == "waited":
        if not any(state.writers[n].phase == "written" for n in state.waits_for):
            yield "drained?", replace(state, mover="drained")
        elif state.hold == "expired":
            yield "give up", replace(state, mover="done", hold="none")
    elif state.mover == "drained":
        waiting = [e for e in state.queue[0] if e.committed and e.tenant == MOVED]
        if not waiting:
            committed = frozenset(n for n, w in enumerate(state.writers) if w.phase == "done")
            left = (state.next_id[0] - 1, committed)
            yield "close legacy", replace(state, mover="closed", left=left, opened=_open(state, 0, False))
        elif state.hold == "expired":
            yield "give up", replace(state, mover="done", hold="none")
    elif state.mover == "closed":
        yield from _flip(state, setup)
    elif state.mover == "unknown":
        yield "ask for the home", _after_asking(state)
    elif state.mover == "guards agree":  # the loop puts them right a little later
        iam = state.home[MOVED] == "iam"
        closed = replace(state, opened=_open(state, 0, not iam))
        yield "the guards follow the home", replace(closed, mover="done", hold="none", opened=_open(closed, 1, iam))
    elif state.mover == "flipped":
        yield "open the IAM", replace(state, mover="done", hold="none", opened=_open(state, 1, True))


def _flip(state: State, setup: Setup) -> Iterator[tuple[str, State]]:
    flipped = replace(
        state, mover="flipped", home=("iam", state.home[1]), flips=state.flips + 1, known_flips=state.known_flips + 1
    )
    given_up = replace(state, mover="done", hold="none", opened=_open(state, 0, True))
    if setup.mends.exclusive_flip:
        web_open = (
            setup.through_portal and state.writers[0].phase in ("begun", "written") and state.writers[0].tenant == MOVED
        )
        if state.hold == "expired" or web_open:
            yield "give up", given_up
            return
    yield "flip", flipped
    if setup.answers_get_lost:
        for name, after in (("COMMIT made, answer lost", flipped), ("COMMIT lost", state)):
            if setup.mends.ask_after_commit:
                yield name, replace(after, mover="unknown")
            else:
                yield name, replace(after, mover="guards agree", opened=_open(after, 0, True))


def _after_asking(state: State) -> State:
    if state.home[MOVED] == "iam":
        return replace(state, mover="flipped")
    return replace(state, mover="done", hold="none", opened=_open(state, 0, True))


def _with(state: State, number: int, writer: Writer) -> State:
    return replace(state, writers=_put(state.writers, number, writer))


def _put(pair: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    return (*pair[:place], value, *pair[place + 1 :])


def _open(state: State, side: int, here: bool) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    return _put(state.opened, side, _put(state.opened[side], MOVED, here))
