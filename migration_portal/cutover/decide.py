"""Take or drop a stray write: a row written on the side that does not own its tenant is never merged silently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from psycopg.rows import dict_row

from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.catchup.flows import FLOWS, captured_run
from migration_portal.cutover.models import Stray
from migration_portal.engine import catchup, tenants
from migration_portal.engine.catchup import Entry, Flow
from migration_portal.engine.merge_work import pseudo
from migration_portal.plan import directions
from migration_portal.plan.errors import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.opening import sides_of


def take(stray: Stray, *, by: str, reason: str) -> None:
    """The stray write is right: bring the row to the owner as it stands on the other side. Raises Refusal, psycopg.Error."""
    flow_name = stray.direction
    with FLOWS[flow_name](_run(stray), "stray") as flow:
        done = catchup.apply(flow, [Entry(0, stray.table_name, stray.key)], whoever=True)
        if done.collided or done.quarantined:
            raise Refusal(
                "The row collides on the owner's side.", subject=str(stray), todo="Drop it, or mend it first."
            )
    _record(stray, "taken", by=by, reason=reason)


def drop(stray: Stray, *, by: str, reason: str) -> None:
    """The stray write is wrong: put the owner's row, or its absence, back in its place. Raises Refusal, psycopg.Error."""
    back = "reverse" if stray.direction == "forward" else "forward"
    with FLOWS[stray.direction](_run(stray), "stray") as theirs, FLOWS[back](_run(stray), "stray") as ours:
        table, key = _on_the_other_side(theirs, stray)
        catchup.apply(ours, [Entry(0, table, list(key))], whoever=True)
    _record(stray, "dropped", by=by, reason=reason)


def _on_the_other_side(flow: Flow, stray: Stray) -> tuple[str, tuple[str, ...]]:
    table = directions.siblings(flow.sides.plan, stray.table_name)[0]
    with flow.sides.legacy.transaction():
        row = flow.sides.legacy.execute(pseudo(flow.sides, table, [tuple(stray.key)])).fetchone()
    if row is None:
        raise Refusal("Its key has no counterpart.", subject=str(stray), todo="Remove the row by hand.")
    return table.target, tuple(map(str, row[:-1]))


def on_both_sides(stray: Stray) -> list[tuple[str, Any, Any, bool]]:
    """The row as both systems hold it now: (field, legacy, IAM, whether they agree), secrets masked. Raises Refusal."""
    run = captured_run()
    if run is None:
        raise Refusal("No run captures changes any more.", subject=str(stray))
    key: Sequence[str] = stray.key
    with sides_of(run, "stray") as sides:
        source = stray.table_name
        if stray.direction == "reverse":
            with FLOWS["reverse"](run, "stray") as flow:
                source, key = _on_the_other_side(flow, stray)
        table = directions.siblings(sides.plan, source)[0]
        found = tenants.row_on_both_sides(sides, table, key)
    return [(name, legacy, iam, legacy == iam) for name, (legacy, iam) in found.items()]


def _run(stray: Stray) -> Run:
    run = captured_run()
    if run is None or stray.state != "open":
        raise Refusal("It was decided already.", subject=str(stray), todo="Reload the page.")
    return run


@transaction.atomic
def _record(stray: Stray, state: str, *, by: str, reason: str) -> None:
    chain.record(
        f"{'take' if state == 'taken' else 'drop'}_stray", of=stray, by=by, reason=reason,
        data={"table": stray.table_name, "key": stray.key, "state": state, "direction": stray.direction},
    )  # fmt: skip
    with databases.iam("stray") as iam, iam.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "UPDATE portal_ledger.strays SET state = %s, decided_at = now(), decided_by = %s WHERE id = %s",
            [state, by, stray.pk],
        )
