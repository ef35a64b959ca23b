"""Accept or restore a stray write: a row written on the side that does not own its tenant is never merged silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from migration_portal.refusal import Refusal, require_reason
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


def accept(stray: Stray, *, by: str, reason: str) -> None:
    """The stray write is right: bring the row to the owner as it stands on the other side. Raises Refusal, psycopg.Error."""
    require_reason(reason, to="Accepting a stray write", subject=str(stray))
    with FLOWS[stray.direction](_run(stray), "stray") as flow:
        _bring(flow, stray, stray.table_name, stray.key)
    _record(stray, Stray.State.ACCEPTED, "accept_stray", by=by, reason=reason)


def restore(stray: Stray, *, by: str, reason: str) -> None:
    """The stray write is wrong: put the owner's row, or its absence, back in its place. Raises Refusal, psycopg.Error."""
    require_reason(reason, to="Restoring the owner's row", subject=str(stray))
    back = "reverse" if stray.direction == "forward" else "forward"
    with FLOWS[stray.direction](_run(stray), "stray") as astray, FLOWS[back](_run(stray), "stray") as owners:
        table, key = _on_the_other_side(astray, stray)
        if table not in owners.transfer.plan.sources:
            raise Refusal(
                "The plan has no way back into legacy for it.", subject=str(stray),
                todo="Put legacy's row right by hand, then accept the stray write: both sides are the same by then.",
            )  # fmt: skip
        _bring(owners, stray, table, key)
    _record(stray, Stray.State.RESTORED, "restore_stray", by=by, reason=reason)


def _bring(flow: Flow, stray: Stray, table: str, key: Sequence[str]) -> None:
    """Bring one row over, whoever owns it. Raises Refusal where another row is in its way; then nothing has changed."""
    done = batches.apply(flow, [Entry(0, table, list(key))], any_home=True)
    if done.unsettled or (done.quarantined and not source.is_open(key)):
        raise Refusal(
            "Another row is in its way on the other side: it has the same key or unique value, or refers to it.",
            subject=str(stray), todo="Decide that row's stray write first, or correct the row; then decide this one again.",
        )  # fmt: skip


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


def _run(stray: Stray) -> Run:
    run = captured_run()
    if run is None or stray.state != Stray.State.OPEN:
        raise Refusal("It was decided already.", subject=str(stray), todo="Reload the page.")
    return run


@transaction.atomic
def _record(stray: Stray, state: Stray.State, verb: str, *, by: str, reason: str) -> None:
    data = {"table": stray.table_name, "key": stray.key, "state": state.value, "direction": stray.direction}
    chain.record(verb, of=stray, by=by, reason=reason, data=data)
    with databases.iam("stray") as iam:
        iam.execute(queries("catchup")["resolve_stray"], {"id": stray.pk, "state": state.value, "by": by})
