"""Retry: failed chunks, and quarantined rows after they were fixed in legacy. Discard: rows that remain in legacy."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import psycopg
from django.db import transaction
from psycopg.sql import SQL, Composable

from flags import homes
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.engine import capabilities, ledger, quarantine
from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Entry, Flow
from migration_portal.engine.copy import staging
from migration_portal.engine.errors import describe
from migration_portal.engine.source import by_source_key
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import belonging, compile
from migration_portal.plan.model import Table
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs import ownership
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.dispatch import call_workers
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.states import State

_AT_ONCE = 1_000


@transaction.atomic
def retry(run: Run, *, by: str, reason: str = "") -> None:
    """Let failed chunks be tried again. Raises IllegalTransition, DatabaseUnreachable."""
    run.move_to(State.RUNNING)
    with databases.iam("retry") as iam:
        count = ledger.retry_failed(iam, run.key)
    chain.record("retry", of=run, run=run.pk, by=by, reason=reason, data={"count": count})
    call_workers(run)


def retry_rows(rows: Sequence[QuarantinedRow], *, by: str) -> tuple[int, int]:
    """Copy quarantined rows again, with the rows that other tables make of the same source rows.

    Returns (copied, still in quarantine). Raises Refusal: a row that is gone from legacy, an unfinished run, a database
    that does not answer. Rows before the refused one stay copied.
    """
    copied = kept = 0
    for key in dict.fromkeys(row.run for row in rows):
        run = _finished_run(key)
        wanted = {(row.source_table, tuple(row.source_key)) for row in rows if row.run == key}
        with open_transfer(run, "retry") as transfer:
            for table in run.plan.tables:  # parents first: a user is retried before its role
                open_rows = QuarantinedRow.objects.filter(run=key, table_name=table.target, state="open")
                for row in open_rows.filter(source_table__in={source for source, _ in wanted}).order_by("id"):
                    if (row.source_table, tuple(row.source_key)) not in wanted:
                        continue
                    try:
                        with transfer.target.transaction():
                            batches.only_writer(transfer.target)
                            where = by_source_key(table, [row.source_key])
                            _refuse_elsewhere(transfer, table, where, row)
                            outcome = staging.copy_rows(transfer, table, where)
                            capabilities.follow(transfer, table, staging.STAGE, homes.in_iam())
                            if not outcome.read:
                                _remove_too(run, transfer, row)
                            if outcome.written:
                                quarantine.close(transfer.target, [row.pk], state="copied", by=by)
                    except psycopg.Error as error:
                        raise describe(error, subject=str(row)) from error
                    copied, kept = copied + outcome.written, kept + outcome.quarantined
                    state = "copied" if outcome.written else "open"
                    data = {"table": row.table_name, "key": row.source_key, "state": state}
                    chain.record("retry_row", of=row, run=run.pk, by=by, data=data)
    return copied, kept


def _remove_too(run: Run, transfer: Transfer, row: QuarantinedRow) -> None:
    """The row is gone from legacy: what kept it in the IAM may be gone by now, too. Raises Refusal where it is not."""
    if run.capture and transfer.queue is not None and row.reason in ("still_referenced", "cannot_be_stored"):
        flow = Flow("forward", transfer, transfer.queue, transfer.target, homes=homes.in_iam)
        if batches.apply(flow, [Entry(0, row.source_table, row.source_key)]).unsettled:
            raise Refusal(
                "Rows in the IAM still refer to it.", subject=str(row), todo="Remove those rows, then retry.",
            )  # fmt: skip
        return
    raise Refusal("The row is gone from the legacy database.", subject=str(row), todo="Discard it.")


def _refuse_elsewhere(transfer: Transfer, table: Table, where: Composable, row: QuarantinedRow) -> None:
    """Asked under the lock of catch-up, as it does: legacy's row of a tenant that has left would overwrite the IAM's."""
    tenant = belonging.tenant_of_source_row(transfer.plan, table.source, transfer.source_catalog)
    home = belonging.at_home(tenant, homes.in_iam(), by_default=True)
    statement = SQL("SELECT FROM {} WHERE ({}) AND NOT {}")
    with transfer.source.transaction():
        elsewhere = transfer.source.execute(
            statement.format(compile.source_table(transfer.plan, table), where, home)
        ).fetchone()
    if elsewhere is not None:
        raise Refusal(
            "Its tenant is at home in the IAM: legacy's row would overwrite what was written there.", subject=str(row),
            todo="Create the row in the IAM, then discard this one.",
        )  # fmt: skip


def retry_row(row: QuarantinedRow, *, by: str) -> None:
    """The same with one row. Raises Refusal, too, where it is still not right."""
    row.refresh_from_db()
    if row.state != QuarantinedRow.QuarantineState.OPEN:
        return  # copied a moment ago, with another row of its source row
    copied, _ = retry_rows([row], by=by)
    if not copied:
        row.refresh_from_db()
        why = row.reason.replace("_", " ")
        raise Refusal(f"It is still not right: {why}.", subject=str(row), todo="Fix it in legacy, then retry.")


def discard_rows(rows: Sequence[QuarantinedRow], *, by: str, reason: str) -> int:
    """Decide that these rows remain in legacy. Returns how many were open. Raises Refusal: no reason, or another portal's IAM."""
    require_reason(reason, to="Discarding")
    runs, count = dict(Run.objects.values_list("key", "pk")), 0
    with databases.iam("discard") as iam:
        ownership.check(iam, "portal_ledger", "IAM database")
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            with chain.recorded_last():
                closed = quarantine.close(iam, [row.pk for row in some], state="discarded", by=by)
                for row in (row for row in some if row.pk in closed):
                    data = {"table": row.table_name, "key": row.source_key, "state": "discarded"}
                    chain.record("discard_row", of=row, run=runs.get(row.run), by=by, reason=reason, data=data)
            count += len(closed)
    return count


def _finished_run(key: UUID) -> Run:
    run = Run.objects.filter(key=key).first()
    if run is None:
        raise Refusal("The run of this row is not known to this portal.", todo="Discard the row.")
    if run.dry_run:
        raise Refusal("A dry run's rows cannot be retried.", subject=str(run), todo="Fix them and start a run.")
    if run.state != State.COMPLETED:
        raise Refusal(f"The run is {run.state}.", subject=str(run), todo="Retry rows once it has completed.")
    return run
