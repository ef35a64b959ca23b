"""Reconciling a swapped backup with what was written since: listed by tenant and table, then taken or left, by decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import psycopg
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from psycopg.sql import SQL, Identifier

from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.backups.back_up import failing
from migration_portal.backups.content import QUERIES, sequences_of
from migration_portal.backups.models import Reconciliation, Restoration, Written
from migration_portal.backups.since import Pair, Table, list_written, opened, rows_since
from migration_portal.backups.swap import look_at_all
from migration_portal.engine.pipe import pipe
from migration_portal.engine.source import keys_in
from migration_portal.plan.compile import same
from migration_portal.plan.loader import load
from migration_portal.refusal import Refusal, require_reason

_BATCH = 2000


def list_since(made: Restoration, *, by: str) -> Reconciliation:
    """Request the list, and tell the workers. Raises Refusal."""
    return _ask(made, tenants=[], removals=False, by=by, reason="")


def take(made: Restoration, tenants: Sequence[str], *, removals: bool, by: str, reason: str) -> Reconciliation:
    """Have what these tenants got since the backup brought back ("" stands for rows of nobody); with `removals`, what they
    deleted is deleted again. Raises Refusal.
    """
    require_reason(reason, to="Taking", subject=str(made))
    _require_open(made, tenants)
    return _ask(made, tenants=list(tenants), removals=removals, by=by, reason=reason)


def leave(made: Restoration, tenants: Sequence[str], *, by: str, reason: str) -> int:
    """Decide that what these tenants got since the backup stays away; the database put aside still has it. Returns of how
    many tables. Raises Refusal.
    """
    require_reason(reason, to="Leaving", subject=str(made))
    _require_open(made, tenants)
    with transaction.atomic():
        decided = _decide(made, tenants, Written.Decision.LEFT, by)
        for tenant in tenants:
            chain.record("leave_written", of=made.backup, by=by, reason=reason, data={"tenant": tenant})
    return decided


def perform(asked: Reconciliation) -> None:
    """List, or bring back, unless another worker does."""
    if not asked.claim():
        return
    with asked.alive(), failing(asked):
        plan = load(settings.MIGRATION_PLAN)
        with opened(asked.restoration, plan) as pair:
            if asked.tenants:
                asked.rows = _bring_back(asked, pair)
            written = list_written(pair, lambda done, total: asked.report("compare", done, total))
        if asked.tenants:
            look_at_all(plan)
        with transaction.atomic():
            if asked.tenants:
                _decide(asked.restoration, asked.tenants, Written.Decision.TAKEN, asked.requested_by)
                for tenant in asked.tenants:
                    about = {"tenant": tenant, "count": asked.rows}
                    chain.record(
                        "take_written",
                        of=asked.restoration.backup,
                        by=asked.requested_by,
                        reason=asked.reason,
                        data=about,
                    )
            else:
                _keep_list(asked.restoration, written)
            asked.finish(rows=asked.rows)


def _ask(made: Restoration, *, tenants: list[str], removals: bool, by: str, reason: str) -> Reconciliation:
    if not made.swapped_at:
        raise Refusal("It has not been swapped.", subject=str(made), todo="Swap it first: until then nothing is lost.")
    with transaction.atomic():
        if made.reconciliations.unfinished().exists():  # type: ignore[attr-defined]
            raise Refusal("It is being reconciled.", subject=str(made), todo="Wait until that is done.")
        asked = Reconciliation.objects.create(
            restoration=made, tenants=tenants, removals=removals, requested_by=by, reason=reason
        )
        transaction.on_commit(lambda: messages.send("backups.work", "reconciliation", asked.pk, queue="operate"))
    return asked


def _require_open(made: Restoration, tenants: Sequence[str]) -> None:
    open_ones = set(made.written.filter(decision="open").values_list("tenant", flat=True))  # type: ignore[attr-defined]
    for tenant in tenants:
        if tenant not in open_ones:
            raise Refusal("Nothing of it is undecided.", subject=tenant or "rows of nobody", todo="See the list.")
    if not tenants:
        raise Refusal("No tenant was chosen.", subject=str(made), todo="Tick those that you decide about.")


def _decide(made: Restoration, tenants: Sequence[str], decision: str, by: str) -> int:
    mine = Written.objects.filter(restoration=made, tenant__in=tenants, decision=Written.Decision.OPEN)
    return mine.update(decision=decision, decided_at=Now(), decided_by=by)


def _keep_list(made: Restoration, written: dict[tuple[str, str], dict[str, int]]) -> None:
    Written.objects.filter(restoration=made, decision=Written.Decision.OPEN).delete()
    Written.objects.bulk_create(
        [Written(restoration=made, tenant=tenant, table=table, **counts) for (tenant, table), counts in written.items()],
        update_conflicts=True, unique_fields=["restoration", "tenant", "table"],
        update_fields=["added", "changed", "removed"],
    )  # fmt: skip
    Restoration.objects.filter(pk=made.pk).update(listed_at=timezone.now())


def _bring_back(asked: Reconciliation, pair: Pair) -> int:
    """All of it or nothing: rows added and changed, parents first; then, if asked for, rows removed, children first."""
    wanted, rows = set(asked.tenants), 0
    chosen: list[tuple[Table, list[tuple[str, ...]], list[tuple[str, ...]]]] = []
    for table in pair.tables:
        mine = [row for row in rows_since(pair, table) if row.tenant in wanted]
        put = [row.key for row in mine if row.kind != "removed"]
        chosen.append((table, put, [row.key for row in mine if row.kind == "removed"]))
    total = sum(len(put) for _, put, _ in chosen)
    try:
        with pair.live.transaction():
            for table, put, removed in chosen:
                uniques = _uniques(pair, table) if put else []
                for keys in _batches(put):
                    _put(pair, table, keys, put + removed, uniques)
                    rows += len(keys)
                    asked.report("bring back", rows, total)
            for table, _, removed in reversed(chosen if asked.removals else []):
                for keys in _batches(removed):
                    statement = QUERIES["remove_rows"].format(
                        table=table.identifier, wanted=keys_in(table.key_columns, keys)
                    )
                    rows += pair.live.execute(statement).rowcount
            _advance_sequences(pair)
    except psycopg.errors.IntegrityError as error:
        raise Refusal(
            f"The restored database does not take the rows ({error.diag.message_primary}).",
            subject=str(error.diag.table_name or asked.restoration),
            todo="Nothing was brought back. Rows of nobody, which others refer to, are taken first, or together with them.",
        ) from error  # fmt: skip
    return rows


def _uniques(pair: Pair, table: Table) -> list[list[str]]:
    """The columns of its unique indexes but for its key's."""
    return [row[0] for row in pair.live.execute(QUERIES["uniques"], {"table": table.identifier.as_string(pair.live)})]


def _put(
    pair: Pair,
    table: Table,
    keys: Sequence[tuple[str, ...]],
    ours: Sequence[tuple[str, ...]],
    uniques: Sequence[Sequence[str]],
) -> None:
    """Write these rows. One of `ours`, which are all that is written or came since, that has their unique value under another key
    gives way: reverse sync brought the same row again, and counted anew.
    """
    columns = SQL(", ").join(map(Identifier, table.columns))
    stage = Identifier("portal_stage")
    pair.live.execute(SQL("CREATE TEMPORARY TABLE {} (LIKE {}) ON COMMIT DROP").format(stage, table.identifier))
    for column in table.columns:
        pair.live.execute(SQL("ALTER TABLE {} ALTER {} DROP NOT NULL").format(stage, Identifier(column)))
    selected = QUERIES["rows_of_keys"].format(
        columns=columns, table=table.identifier, wanted=keys_in(table.key_columns, keys)
    )
    pipe(pair.kept, selected, pair.live, stage, table.columns)
    for unique in uniques:
        taken = SQL("EXISTS (SELECT FROM {} AS s WHERE {} AND NOT ({}))").format(
            stage, same(unique, unique, "t", "s"), same(table.key, table.key, "t", "s")
        )
        wanted = SQL("{} AND {}").format(keys_in(table.key_columns, ours), taken)
        pair.live.execute(SQL("DELETE FROM {} AS t WHERE {}").format(table.identifier, wanted))
    sets = [SQL("{0} = EXCLUDED.{0}").format(Identifier(column)) for column in table.columns if column not in table.key]
    conflict = SQL(", ").join(map(Identifier, table.key))
    nothing = SQL("{0} = EXCLUDED.{0}").format(Identifier(table.key[0]))
    pair.live.execute(
        QUERIES["put_rows"].format(
            table=table.identifier, columns=columns, stage=stage, key=conflict, sets=SQL(", ").join(sets or [nothing])
        )
    )
    pair.live.execute(SQL("DROP TABLE {}").format(stage))


def _advance_sequences(pair: Pair) -> None:
    """Keys given out since the backup are not given out again."""
    now = sequences_of(pair.live)
    for name, last in sequences_of(pair.kept).items():
        if name in now and last > now[name]:
            schema, _, sequence = name.partition(".")
            pair.live.execute("SELECT setval(%s, %s)", [Identifier(schema, sequence).as_string(pair.live), last])


def _batches(keys: Sequence[Any]) -> Iterator[list[Any]]:
    keys = iter(keys)  # type: ignore[assignment]
    while batch := list(islice(keys, _BATCH)):  # type: ignore[arg-type]
        yield batch
