"""The capability model of the rows that a run brings: derived in the IAM, set by set, from tenants, their settings and users.

A row that a run wrote and nobody has changed since follows what it is derived from; whatever somebody else wrote or changed
stays. Rows are told apart as `undo` does, by the transaction that wrote them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine import blocks, ledger, upserts
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import belonging, compile
from migration_portal.plan.derived import CHANGES, derived
from migration_portal.plan.model import Table

PIECE_BLOCKS = 256
_SAMPLE = 20
_EVERYBODY = SQL("true")


def prepare(transfer: Transfer) -> None:
    """Record how the run treats each derived table, in the caller's transaction: one that is empty needs no images."""
    for table in derived(transfer.plan, transfer.target_catalog):
        statement = SQL(
            "INSERT INTO portal_ledger.tables (run, table_name, mode)"
            " SELECT {}, {}, CASE WHEN EXISTS (SELECT FROM {}) THEN 'upsert' ELSE 'load' END ON CONFLICT DO NOTHING"
        )
        run, name = Literal(transfer.run), Literal(table.target)
        transfer.target.execute(statement.format(run, name, _real(transfer, table.target)))


def prepared(transfer: Transfer) -> list[Table]:
    """The derived tables of this run; none of a dry run, or of a run that an earlier version began."""
    modes = ledger.modes(transfer.target, transfer.run)
    return [table for table in derived(transfer.plan, transfer.target_catalog) if table.target in modes]


def pieces(transfer: Transfer, table: Table) -> list[NewChunk]:
    """Chunks that together derive the table, a part of its owners each."""
    count = blocks.count(transfer.target, transfer.quoted(transfer.schema, table.source))
    return blocks.pieces("grant", table.target, count, side="iam", size=PIECE_BLOCKS, extra={})


def grant_piece(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Derive the rows of one piece of the owners, and mark the chunk done."""
    table = transfer.table(chunk.table_name)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        written, removed = grant(transfer, table, blocks.condition(chunk, "t"), transfer.in_iam)
        outcome = Outcome(read=written + removed, written=written - removed)
        ledger.done(transfer.target, chunk, outcome)
    return outcome


def grant(transfer: Transfer, table: Table, owners: Composable, homes: frozenset[str]) -> tuple[int, int]:
    """Derive the rows of the owners `t` that live in legacy, in the caller's transaction. Returns rows (written, removed)."""
    target, stage = transfer.target, Identifier(f"portal_derived_{table.target}")
    wanted = _wanted(transfer, table, owners, homes)
    names = SQL(", ").join(map(Identifier, table.column_names))
    parts: dict[str, Composable] = _parts(transfer, table, wanted) | {"stage": stage, "names": names}
    loads = ledger.modes(target, transfer.run).get(table.target) == "load"
    if loads and not _one(transfer, queries("capabilities")["owned"].format(**parts)):
        if loaded := target.execute(queries("capabilities")["load"].format(**parts)).rowcount:
            ledger.record_commit(target, transfer.run, table.target)
        return loaded, 0
    target.execute(queries("capabilities")["stage"].format(**parts))
    target.execute(SQL("TRUNCATE {}").format(stage))  # another batch of the same transaction may have left its rows
    target.execute(queries("capabilities")["expect"].format(**parts))
    target.execute(queries("capabilities")["keep"].format(**parts))
    removed = _remove(transfer, table, queries("capabilities")["obsolete"].format(**parts)) if _removable(table) else 0
    if not _one(transfer, SQL("SELECT EXISTS (SELECT FROM {})").format(stage)):
        return 0, removed
    if not loads:
        target.execute(upserts.remember(transfer, table, stage))
    ledger.record_commit(target, transfer.run, table.target)
    parts |= {"key": _listed_key(transfer, table), "action": upserts.on_conflict(transfer, table)}
    return target.execute(queries("capabilities")["write"].format(**parts)).rowcount, removed


def follow(transfer: Transfer, changed: Table, keys: Composable | None, homes: frozenset[str]) -> None:
    """After rows of the plan's table `changed` were written or removed: derive again what hangs on them.

    `keys` is a table, perhaps a temporary one, with their keys as the target has them; None for all. In the caller's transaction.
    """
    if changed.target not in CHANGES:
        return
    owner = CHANGES[changed.target]
    among = SQL("t.id IN (SELECT {} FROM {})").format(Identifier(owner), keys) if keys else _EVERYBODY
    for table in prepared(transfer):
        if (table.source == "users") == (changed.target == "users"):
            grant(transfer, table, among, homes)


def clear(transfer: Transfer, leaving_from: Table, leaving: Composable) -> None:
    """Before rows `t` of a table of the plan are removed: remove what was derived from them, whoever wrote it last."""
    for table in reversed(prepared(transfer)):
        if table.source == leaving_from.target:
            parts = _parts(transfer, table, leaving)
            _remove(transfer, table, queries("capabilities")["ownerless"].format(**parts))


def _remove(transfer: Transfer, table: Table, leaving: Composable) -> int:
    if ledger.modes(transfer.target, transfer.run).get(table.target) == "upsert":
        transfer.target.execute(upserts.remember_removed(transfer, table, leaving))
    statement = queries("capabilities")["remove"].format(target=_real(transfer, table.target), leaving=leaving)
    return transfer.target.execute(statement).rowcount


def _one(transfer: Transfer, statement: Composed) -> bool:
    row = transfer.target.execute(statement).fetchone()
    return bool(row and row[0])


def _removable(table: Table) -> bool:
    """What a tenant may use remains when the system stops offering it: its switch is the system's."""
    return table.target != "tenant_capabilities"


@dataclass(frozen=True)
class Would:
    """What deriving would do to a table: rows by `added`, `changed`, `removed` and `kept`, with some keys of each."""

    table: str
    counts: Counter[str] = field(default_factory=Counter)
    sample: dict[str, list[list[str]]] = field(default_factory=dict)


def would(transfer: Transfer) -> list[Would]:
    """What deriving would do now. Nothing is written; in a dry run, from the rows of its scratch schema."""
    found = []
    for table in derived(transfer.plan, transfer.target_catalog):
        wanted = _wanted(transfer, table, _EVERYBODY, transfer.in_iam)
        parts = _parts(transfer, table, wanted)
        obsolete = queries("capabilities")["obsolete"].format(**parts) if _removable(table) else SQL("false")
        statement = queries("capabilities")["would"].format(obsolete=obsolete, **parts)
        each = Would(table.target)
        for what, key in transfer.target.execute(statement):
            each.counts[what] += 1
            if len(each.sample.setdefault(what, [])) < _SAMPLE:
                each.sample[what].append(key)
        found.append(each)
    return found


def _parts(transfer: Transfer, table: Table, wanted: Composable) -> dict[str, Composable]:
    """What the queries are made of."""
    key = transfer.info(table).primary_key
    tables: dict[str, Composable] = {name: _source(transfer, name) for name in (*CHANGES, "system_capabilities")}
    expected = queries("capabilities")[table.target].format(
        wanted=wanted, tenant_capabilities=_real(transfer, "tenant_capabilities"),
        fillable_capability=_fillable(transfer, "c"), **tables,
    )  # fmt: skip
    ours = queries("catchup")["written_by_us"].format(target_name=Literal(table.target))
    switches = table.target == "tenant_capabilities"
    fillable = _fillable(transfer, "t") if switches else SQL("false")
    undecided = _undecided("t") if switches else SQL("false")
    return {
        "target": _real(transfer, table.target), "owner": Identifier(table.columns[0].name),
        "owners": _source(transfer, table.source), "wanted": wanted, "expected": expected, "ours": ours,
        "same": compile.same(key, key, "t", "s"), "differs": upserts.differs(transfer, table, "t", "s"),
        "changeable": SQL("({}) OR ({})").format(ours, fillable),
        "still": SQL("({}) OR ({})").format(ours, undecided), "key": compile.target_key(key, "s"),
        "own_key": compile.target_key(key, "t"),
    }  # fmt: skip


def _fillable(transfer: Transfer, row: str) -> Composable:
    return queries("capabilities")["fillable"].format(
        row=compile.raw(row), undecided=_undecided(row), tenant_settings=_source(transfer, "tenant_settings")
    )


def _undecided(row: str) -> Composable:
    return queries("capabilities")["undecided"].format(row=compile.raw(row))


def _wanted(transfer: Transfer, table: Table, owners: Composable, homes: frozenset[str]) -> Composable:
    """The owners `t` among these that live in legacy: in the IAM, the IAM decides. Not those that are marked as deleted."""
    tenant = SQL("lower(t.{}::text)").format(Identifier("tenant_id" if table.source == "users" else "id"))
    deleted = "deleted_at" in transfer.target_catalog[table.source].columns
    alive = SQL("t.deleted_at IS NULL") if deleted else SQL("true")
    return SQL("({}) AND {} AND {}").format(owners, belonging.at_home(tenant, homes, by_default=True), alive)


def _source(transfer: Transfer, name: str) -> Composable:
    """A table of the IAM that is derived from: in a dry run the scratch one, where the plan fills it."""
    planned = {table.target for table in transfer.plan.tables}
    return transfer.target_table(name) if name in planned else _real(transfer, name)


def _real(transfer: Transfer, name: str) -> Composable:
    return SQL("{}").format(Identifier(transfer.plan.target_schema, name))


def _listed_key(transfer: Transfer, table: Table) -> Composable:
    names: Sequence[str] = transfer.info(table).primary_key
    return SQL(", ").join(map(Identifier, names))
