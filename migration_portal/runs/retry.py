"""Retry: failed chunks, and quarantined rows after they were fixed in legacy. Discard: rows that remain in legacy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import psycopg
from django.db import transaction
from psycopg.sql import SQL, Composable

from flags import homes
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.engine import capabilities, ledger, quarantine, source
from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Entry, Flow
from migration_portal.engine.copy import staging
from migration_portal.engine.errors import describe
from migration_portal.engine.source import Key, by_source_key
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
        tables = run.plan.tables  # parents first: a user is retried before its role
        found = QuarantinedRow.objects.filter(run=key, state="open", source_table__in={source for source, _ in wanted})
        open_rows = [
            row
            for table in tables
            for row in found.filter(table_name=table.target).order_by("id")
            if (row.source_table, tuple(row.source_key)) in wanted
        ]
        with open_transfer(run, "retry") as transfer:
            again = _by_catch_up if run.capture and transfer.queue is not None else _by_copy
            for row, written, rejected in again(run, transfer, open_rows, by):
                copied, kept = copied + written, kept + rejected
                data = {"table": row.table_name, "key": row.source_key, "state": "copied" if written else "open"}
                chain.record("retry_row", of=row, run=run.pk, by=by, data=data)
    return copied, kept


def _by_copy(
    run: Run, transfer: Transfer, rows: Sequence[QuarantinedRow], by: str
) -> Iterator[tuple[QuarantinedRow, int, int]]:
    """One by one, as they were copied. Gives each with how often it was written, and kept back."""
    for row in rows:
        table = transfer.table(row.table_name)
        try:
            with transfer.target.transaction():
                batches.only_writer(transfer.target)
                where = by_source_key(table, [row.source_key])
                _refuse_elsewhere(transfer, table, where, row)
                outcome = staging.copy_rows(transfer, table, where)
                capabilities.follow(transfer, table, staging.STAGE, homes.in_iam())
                if not outcome.read:
                    raise _gone(row)
                if outcome.written:
                    quarantine.close(transfer.target, [row.pk], state="copied", by=by)
        except psycopg.Error as error:
            raise describe(error, subject=str(row)) from error
        yield row, outcome.written, outcome.quarantined


def _by_catch_up(
    run: Run, transfer: Transfer, rows: Sequence[QuarantinedRow], by: str
) -> Iterator[tuple[QuarantinedRow, int, int]]:
    """The same as changes that were captured: a row that the IAM has from before is no stranger to it, and two may swap."""
    assert transfer.queue is not None
    flow = Flow("forward", transfer, transfer.queue, transfer.target, homes=homes.in_iam)
    entries: dict[tuple[str, Key], Entry] = {}
    for row in rows:
        table = transfer.table(row.table_name)
        with transfer.source.transaction():
            there = source.there(transfer, table, [row.source_key])
        if there:
            _refuse_elsewhere(transfer, table, by_source_key(table, [row.source_key]), row)
        elif row.reason not in ("still_referenced", "cannot_be_stored"):
            raise _gone(row)
        entries[row.source_table, tuple(row.source_key)] = Entry(0, row.source_table, row.source_key)
    if not entries:
        return
    try:
        unsettled = batches.apply(flow, list(entries.values())).unsettled
    except psycopg.Error as error:
        raise describe(error, subject=str(rows[0])) from error
    for row in rows:
        collision = unsettled.get((row.source_table, tuple(row.source_key)))
        if collision and row.reason == "still_referenced" == collision[1]:
            raise Refusal(
                "Rows in the IAM still refer to it.", subject=str(row), todo="Remove those rows, then retry.",
            )  # fmt: skip
        if collision and collision[0] == row.table_name:
            table = transfer.table(row.table_name)
            quarantine.add(transfer, table, quarantine.rejections(transfer, table, [row.source_key], *collision[1:]))
        kept = QuarantinedRow.objects.filter(pk=row.pk, state="open").exists()
        yield row, int(not kept), int(kept)


def _gone(row: QuarantinedRow) -> Refusal:
    return Refusal("The row is gone from the legacy database.", subject=str(row), todo="Discard it.")


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
    still_open = QuarantinedRow.objects.filter(pk=row.pk, state="open")
    if not still_open.exists():
        return  # copied a moment ago, with another row of its source row, or gone with it
    copied, _ = retry_rows([row], by=by)
    if not copied:
        why = still_open.values_list("reason", flat=True).get().replace("_", " ")
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
