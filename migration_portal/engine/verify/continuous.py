"""Continuous verification: keys that catch-up has touched are compared again, once nothing about them is waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migration_portal.engine import capture_queue
from migration_portal.engine.queries import queries
from migration_portal.engine.source import Key, in_target
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import rows, tables, tenants
from migration_portal.engine.verify.rows import Difference
from migration_portal.plan import directions
from migration_portal.plan.model import Table


@dataclass(frozen=True)
class Look:
    """The first one at a batch of touched keys: how the source writes each, and what differed.

    A second one follows once all that had been captured by then, up to the entry `upto`, has been applied.
    """

    batch: int
    source: str
    written: Mapping[Key, str]
    differences: Mapping[str, list[Difference]]
    upto: int | None


Looks = dict[int, Look]
"""First looks that found differences, by batch."""


def recheck(transfer: Transfer, number: int, looks: Looks) -> tuple[int, int]:
    """Compare a batch of touched keys; `number` is the verification that findings belong to, `looks` is kept from call to call.

    Returns (keys compared, rows that differ). Keys that differ while changes wait stay touched: first for what was captured
    before, whatever it is, then for those of which a change still waits. So traffic that never ends puts nothing off for good.
    """
    assert transfer.queue is not None
    look = next((each for each in looks.values() if capture_queue.applied(transfer.queue, each.upto)), None)
    if look is None:
        look = _first_look(transfer, looks)
        if look is None:
            return 0, 0
        if look.differences and not capture_queue.applied(transfer.queue, look.upto):
            looks[look.batch] = look
            return 0, 0
    looks.pop(look.batch, None)
    different, later = _second_look(transfer, number, look) if look.differences else (0, set())
    transfer.target.execute(queries("continuous")["settled"], {"id": look.batch, "later": sorted(later)})
    return len(look.written) - len(later), different


def _first_look(transfer: Transfer, looks: Looks) -> Look | None:
    """At the oldest batch that nobody has looked at."""
    assert transfer.queue is not None
    about = {"run": transfer.run, "but": list(looks)}
    row = transfer.target.execute(queries("continuous")["next"], about).fetchone()
    if row is None:
        return None
    batch, source, texts = row
    parsed = transfer.target.execute(queries("continuous")["keys"], {"texts": texts}).fetchall()
    written = {tuple(key): text for (key,), text in zip(parsed, texts, strict=True)}
    differences = tenants.compare_keys(transfer, source, list(written))
    upto = capture_queue.lag(transfer.queue).last if differences else None
    return Look(batch, source, written, differences, upto)


def _second_look(transfer: Transfer, number: int, look: Look) -> tuple[int, set[str]]:
    """Record what differs as it did. Returns how many rows, and the keys that are to be compared later."""
    assert transfer.queue is not None
    keys = list(look.written)
    # Read once more, before what waits: a change between the two reads has been captured by then. The other way is
    # followed by another process, which may bring a row back meanwhile: that is asked before, too.
    waiting = _flowing_back(transfer, look.source, keys)
    again = tenants.compare_keys(transfer, look.source, keys)
    waiting |= capture_queue.waiting(transfer.queue, look.source, keys) | _flowing_back(transfer, look.source, keys)
    later = {look.written[key] for key in waiting}
    different = 0
    for target, differing in again.items() if len(later) < len(keys) else ():
        table, known = transfer.table(target), look.differences.get(target, [])
        made = _made_of(transfer, table, keys)
        unsettled = {target for target, twins in made.items() if waiting & twins}
        lasting = [each for each in differing if each in known and each.key not in unsettled]
        rows.record(transfer, table, number, lasting)
        different += len(lasting)
        # What differs otherwise than a moment ago is being written: it is asked again.
        later |= {look.written[twin] for each in differing if each not in lasting for twin in made.get(each.key, ())}
    return different, later


def touched(transfer: Transfer) -> int:
    """How many keys wait to be compared again."""
    row = transfer.target.execute(queries("continuous")["count"], {"run": transfer.run}).fetchone()
    return int(row[0]) if row else 0


def _flowing_back(transfer: Transfer, source: str, keys: Sequence[Key]) -> set[Key]:
    """Those of which something was written in the IAM that has not come back yet."""
    back: set[Key] = set()
    for table in transfer.plan.siblings(source) if transfer.in_iam else ():
        made = _made_of(transfer, table, keys)
        back |= {twin for key in tables.flowing_back(transfer, table, made.keys()) for twin in made[key]}
    return back


def _made_of(transfer: Transfer, table: Table, keys: Sequence[Key]) -> dict[Key, set[Key]]:
    """The target's key → the source's, which may be two ways to write one; for tables whose whole key follows from the source's."""
    columns = transfer.info(table).primary_key
    owner = [column.name for column in directions.owner(table, transfer.source_catalog, transfer.target_catalog)]
    if len(owner) < len(columns):
        return {}
    places = [owner.index(name) for name in columns]
    with transfer.source.transaction():
        made = in_target(transfer, table, keys)
    found: dict[Key, set[Key]] = {}
    for target, key in made:
        found.setdefault(tuple(target[place] for place in places), set()).add(key)
    return found
