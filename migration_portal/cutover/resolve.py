"""Accept or restore a stray write: a row written on the side that does not own its tenant is never merged silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import transaction

from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.catchup.flows import FLOWS, captured_run
from migration_portal.cutover.models import Stray
from migration_portal.engine import source
from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Entry, Flow
from migration_portal.engine.queries import queries
from migration_portal.engine.verify import tenants
from migration_portal.refusal import Refusal, each, require_reason
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run


@dataclass(frozen=True)
class Field:
    """One field of a row, as text on both sides; secrets are masked."""

    name: str
    legacy: Any
    iam: Any

    @property
    def same(self) -> bool:
        return bool(self.legacy == self.iam)


class InItsWay(Refusal):
    """Another row keeps these stray writes, `left`, from being decided: of them nothing has changed."""

    left: Sequence[Stray] = ()


def accept(*strays: Stray, by: str, reason: str) -> None:
    """The stray writes, of one direction, are right: bring the rows to the owner as they stand on the other side.

    Raises Refusal, psycopg.Error.
    """
    require_reason(reason, to="Accepting a stray write", subject=str(strays[0]))
    with FLOWS[strays[0].direction](_run(strays), "stray") as flow:
        left = _bring(flow, [(stray.table_name, stray.key) for stray in strays], strays)
    _record([each for each in strays if each not in left], Stray.State.ACCEPTED, "accept_stray", by=by, reason=reason)
    _refuse(left)


def restore(*strays: Stray, by: str, reason: str) -> None:
    """The stray writes, of one direction, are wrong: put the owner's rows, or their absence, back in their place.

    Raises Refusal, psycopg.Error.
    """
    require_reason(reason, to="Restoring the owner's row", subject=str(strays[0]))
    back, run = "reverse" if strays[0].direction == "forward" else "forward", _run(strays)
    with FLOWS[strays[0].direction](run, "stray") as astray, FLOWS[back](run, "stray") as owners:
        there = [_on_the_other_side(astray, stray) for stray in strays]
        if any(table not in owners.transfer.plan.sources for table, _ in there):
            raise Refusal(
                "The plan has no way back into legacy for it.", subject=str(strays[0]),
                todo="Put legacy's row right by hand, then accept the stray write: both sides are the same by then.",
            )  # fmt: skip
        left = _bring(owners, there, strays)
    _record([each for each in strays if each not in left], Stray.State.RESTORED, "restore_stray", by=by, reason=reason)
    _refuse(left)


def decide_each(
    verb: Callable[..., None], strays: Iterable[Stray], *, by: str, reason: str
) -> tuple[int, Counter[str]]:
    """Accept or restore each by itself, and those together that are in each other's way, as rows are that swapped a unique value.

    Returns how many were decided, and the others by why.
    """
    stuck: dict[str, list[Stray]] = {}

    def alone(stray: Stray) -> None:
        try:
            verb(stray, by=by, reason=reason)
        except InItsWay:
            stuck.setdefault(stray.direction, []).append(stray)

    done, refused = each(strays, alone)
    done -= sum(map(len, stuck.values()))
    for some in stuck.values():
        try:
            verb(*some, by=by, reason=reason)
            done += len(some)
        except InItsWay as in_its_way:
            done += len(some) - len(in_its_way.left)
            refused[str(in_its_way)] += len(in_its_way.left)
        except (Refusal, psycopg.Error) as error:
            refused[str(error).splitlines()[0]] += len(some)
    return done, refused


def _bring(flow: Flow, there: Sequence[tuple[str, Sequence[str]]], strays: Sequence[Stray]) -> list[Stray]:
    """Bring these rows over, whoever owns them. Returns the strays whose rows could not be, and are as they were."""
    done = batches.apply(flow, [Entry(0, table, list(key)) for table, key in there], any_home=True)
    if len(there) == 1 and done.quarantined and not source.is_open(there[0][1]):
        return list(strays)
    return [stray for stray, (table, key) in zip(strays, there, strict=True) if (table, tuple(key)) in done.unsettled]


def _refuse(left: Sequence[Stray]) -> None:
    if left:
        refusal = InItsWay(
            "Another row is in its way on the other side: it has the same key or unique value, or refers to it.",
            subject=str(left[0]),
            todo="Decide that row's stray write first, tick both in the list, or correct the row; then decide this one again.",
        )  # fmt: skip
        refusal.left = left
        raise refusal


def _on_the_other_side(flow: Flow, stray: Stray) -> tuple[str, tuple[str, ...]]:
    table = flow.transfer.plan.siblings(stray.table_name)[0]
    with flow.transfer.source.transaction():
        made = source.in_target(flow.transfer, table, [tuple(stray.key)])
    if not made:
        raise Refusal("Its key has no counterpart.", subject=str(stray), todo="Remove the row by hand.")
    return table.known_as, made[0][0]


def on_both_sides(stray: Stray) -> list[Field]:
    """The row as both systems hold it now. Raises Refusal."""
    run = captured_run()
    if run is None:
        raise Refusal("No run captures changes any more.", subject=str(stray))
    key: Sequence[str] = stray.key
    with open_transfer(run, "stray") as transfer:
        name = stray.table_name
        if stray.direction == "reverse":
            with FLOWS["reverse"](run, "stray") as flow:
                name, key = _on_the_other_side(flow, stray)
        table = transfer.plan.siblings(name)[0]
        return [Field(field, *values) for field, values in tenants.row_on_both_sides(transfer, table, key).items()]


def _run(strays: Iterable[Stray]) -> Run:
    run = captured_run()
    for stray in strays:
        if run is None or stray.state != Stray.State.OPEN:
            raise Refusal("It was decided already.", subject=str(stray), todo="Reload the page.")
    assert run is not None
    return run


@transaction.atomic
def _record(strays: Iterable[Stray], state: Stray.State, verb: str, *, by: str, reason: str) -> None:
    with databases.iam("stray") as iam:
        for stray in strays:
            data = {"table": stray.table_name, "key": stray.key, "state": state.value, "direction": stray.direction}
            chain.record(verb, of=stray, by=by, reason=reason, data=data)
            iam.execute(queries("catchup")["resolve_stray"], {"id": stray.pk, "state": state.value, "by": by})
