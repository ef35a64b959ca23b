"""Suspending constraints for a load, and settling the table while they are built again.

Building is tried first: when no row keeps it from succeeding it is all there is to do. When one does, those
rows go to quarantine by one query, and the build is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import capabilities, capture_queue, ledger, quarantine, source
from migration_portal.engine.copy import given, scratch
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile, uniques
from migration_portal.plan.model import Table
from migration_portal.refusal import Refusal

_OF_ANOTHER = "The row that it is of was kept back: another has its key."


@dataclass(frozen=True)
class Definition:
    """An index or foreign key as it stood before the load; `kind` is unique, index or foreign_key."""

    name: str
    kind: str
    definition: str
    is_constraint: bool


def prepare(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Add the plan's rows, decide per table between load and upsert, and mark the chunk done.

    A dry run gets its scratch tables first.
    """
    dry = transfer.schema != transfer.plan.target_schema
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        if dry:
            scratch.create(transfer)
        given.add(transfer)
        for table in transfer.plan.tables:
            suspend(transfer, table, transfer.plan.target_schema if dry else None)
        if not dry:
            capabilities.prepare(transfer)
        ledger.done(transfer.target, chunk, Outcome())
    return Outcome()


def is_empty(transfer: Transfer, table: Table) -> bool:
    statement = SQL("SELECT EXISTS (SELECT FROM {})").format(transfer.target_table(table.target))
    row = transfer.target.execute(statement).fetchone()
    return row is not None and not row[0]


def suspend(transfer: Transfer, table: Table, definitions_from: str | None = None) -> None:
    """Record how the run treats the table; drop all but the primary key and CHECKs where it is empty.

    `definitions_from` names another schema to take the definitions from: a scratch table has none of its own.
    """
    target, name = transfer.target, transfer.target_table(table.target)
    with target.transaction():
        target.execute("SET LOCAL lock_timeout = '5s'")
        target.execute(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(name))
        mode = "load" if is_empty(transfer, table) else "upsert"
        recorded = target.execute(
            "INSERT INTO portal_ledger.tables (run, table_name, mode) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [transfer.run, table.target, mode],
        ).rowcount
        if not recorded or (mode == "upsert" and definitions_from is None):
            return
        for definition in _definitions(transfer, table, definitions_from or transfer.schema):
            if mode == "upsert":  # a dry run: as in a real one, what is there already is in force
                _create(transfer, table, definition)
                continue
            about = {"run": transfer.run, "schema": transfer.schema, "table": table.target}
            target.execute(queries("constraints")["suspend"], about | definition.__dict__)
            if definitions_from is None:
                _drop(transfer, table, definition)


def _definitions(transfer: Transfer, table: Table, schema: str) -> list[Definition]:
    # Parents in the same schema are then named without it, so that a scratch schema's own parents are found.
    transfer.target.execute(SQL("SET LOCAL search_path = {}").format(Identifier(schema)))
    arguments = {"table": transfer.quoted(schema, table.target)}
    return [Definition(*row) for row in transfer.target.execute(queries("constraints")["definitions"], arguments)]


def _drop(transfer: Transfer, table: Table, definition: Definition) -> None:
    if definition.is_constraint:
        statement = SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
            transfer.target_table(table.target), Identifier(definition.name)
        )
    else:
        statement = SQL("DROP INDEX {}").format(Identifier(transfer.schema, definition.name))
    transfer.target.execute(statement)


def index_chunks(transfer: Transfer, table: Table, kind: str = "index") -> list[NewChunk]:
    """A chunk of this kind for each suspended index of the table, those of unique constraints among them."""
    return _chunks(transfer, table, kind, "waiting_indexes")


def constraint_chunks(transfer: Transfer, table: Table, kind: str = "constraint") -> list[NewChunk]:
    """A chunk of this kind for each suspended constraint of the table: uniques, whose index is built by now, then foreign keys."""
    return _chunks(transfer, table, kind, "waiting_constraints")


def _chunks(transfer: Transfer, table: Table, kind: str, query: str) -> list[NewChunk]:
    about = {"run": transfer.run, "table": table.target}
    names = transfer.target.execute(queries("constraints")[query], about)
    return [NewChunk(kind, table.target, spec={"name": name}) for (name,) in names]


def build_index(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Build one index and mark the chunk done; rows that keep it from being built are quarantined.

    A unique constraint gets its index here and is put back by `add_constraint`: doing both in one transaction
    would raise a lock that other builders share, and two of them would wait for each other.
    """
    return _put_back(transfer, chunk, settle=True)


def add_constraint(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Put one constraint back and mark the chunk done; rows that keep it from being valid are quarantined."""
    return _put_back(transfer, chunk, settle=True, constraint=True)


def rebuild_index(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Build one index after an undo: no row may stand against it."""
    return _put_back(transfer, chunk, settle=False)


def restore_constraint(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Put one constraint back after an undo: no row may stand against it."""
    return _put_back(transfer, chunk, settle=False, constraint=True)


def _put_back(transfer: Transfer, chunk: Chunk, *, settle: bool, constraint: bool = False) -> Outcome:
    table, target = transfer.table(chunk.table_name), transfer.target
    removed = 0
    with target.transaction():
        ledger.fence(target, chunk)
        if definition := _waiting(transfer, chunk):
            target.execute("SET LOCAL maintenance_work_mem = '256MB'")
            # Workers build side by side already: helpers of their own would only compete with each other.
            target.execute("SET LOCAL max_parallel_maintenance_workers = 0")
            target.execute("SET LOCAL lock_timeout = '60s'")
            if constraint and definition.kind == "unique":
                _adopt_index(transfer, table, definition)
            else:
                if settle and definition.kind == "foreign_key":
                    removed = _remove_doubles(transfer, table, definition)
                removed += _build_or_settle(transfer, table, definition, settle=settle)
            if constraint or not definition.is_constraint:
                about = {"run": transfer.run, "table": table.target, "name": definition.name}
                target.execute(queries("constraints")["restored"], about)
        outcome = Outcome(written=-removed, quarantined=removed)
        ledger.done(target, chunk, outcome)
    return outcome


def _adopt_index(transfer: Transfer, table: Table, definition: Definition) -> None:
    """Make a built index a constraint again, which takes an instant."""
    name = Identifier(definition.name)
    statement = SQL("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}")
    transfer.target.execute(statement.format(transfer.target_table(table.target), name, name))


def _waiting(transfer: Transfer, chunk: Chunk) -> Definition | None:
    about = {"run": transfer.run, "table": chunk.table_name, "name": chunk.spec["name"]}
    row = transfer.target.execute(queries("constraints")["waiting"], about).fetchone()
    return Definition(*row) if row else None


def _build_or_settle(transfer: Transfer, table: Table, definition: Definition, *, settle: bool) -> int:
    try:
        with transfer.target.transaction():
            _create(transfer, table, definition)
        return 0
    except (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation):
        if not settle:
            raise
    removed = _settle(transfer, table, definition)
    if not removed:
        raise Refusal(
            f"{definition.name} cannot be built, and no row explains why.",
            subject=table.target, todo="Look at its definition in the IAM schema script.",
        )  # fmt: skip
    _create(transfer, table, definition)
    return removed


def _create(transfer: Transfer, table: Table, definition: Definition) -> None:
    target, name = transfer.target, Identifier(definition.name)
    schemas = SQL(", ").join(map(Identifier, dict.fromkeys([transfer.schema, transfer.plan.target_schema])))
    target.execute(SQL("SET LOCAL search_path = {}").format(schemas))
    if definition.kind == "foreign_key":
        statement = SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            transfer.target_table(table.target), name, compile.raw(definition.definition)
        )
        target.execute(statement)
        return
    exists = target.execute("SELECT to_regclass(%s)", [transfer.quoted(transfer.schema, definition.name)]).fetchone()
    if exists and exists[0]:
        return  # built before a crash or a cancel, and not a constraint yet
    real = _on(transfer, transfer.plan.target_schema, table.target)
    here = _on(transfer, transfer.schema, table.target)
    target.execute(compile.raw(definition.definition.replace(real, here, 1)))


def _on(transfer: Transfer, schema: str, table: str) -> str:
    """How the server writes the table in an index definition: quoted only where it must be."""
    row = transfer.target.execute("SELECT format(' ON %%I.%%I ', %s::text, %s::text)", [schema, table]).fetchone()
    assert row is not None
    return str(row[0])


def _settle(transfer: Transfer, table: Table, definition: Definition) -> int:
    """Quarantine the rows that keep the definition from being built. Returns how many."""
    info = transfer.info(table)
    if definition.kind == "foreign_key":
        key = next(key for key in info.foreign_keys if key.name == definition.name)
        orphan = compile.orphan(key.columns, transfer.target_table(key.parent), key.parent_columns)
        return _remove(transfer, table, orphan, f"missing_{key.parent}")
    unique = info.uniques[definition.name]
    duplicate = queries("constraints")["duplicate"].format(
        columns=uniques.listed(unique),
        key=SQL(", ").join(map(Identifier, info.primary_key)),
        target=transfer.target_table(table.target),
        set=uniques.counts(unique),
    )
    return _remove(transfer, table, duplicate, uniques.reason(unique))


def _remove_doubles(transfer: Transfer, table: Table, definition: Definition) -> int:
    """Quarantine what was made of source rows whose row of the parent is another's by now. Returns how many."""
    key = next(key for key in transfer.info(table).foreign_keys if key.name == definition.name)
    doubles = {tuple(own) for own in quarantine.doubles(transfer, table, key)}
    if not doubles:
        return 0
    made = source.in_target_whole(transfer, table, [list(own) for own in doubles])
    of_others = {
        tuple(target)
        for own, target, _ in source.all_of_target_key(transfer, table, [target for _, target, _ in made])
        if tuple(own) not in doubles
    }
    alone = [tuple(target) for _, target, _ in made if tuple(target) not in of_others]
    primary_key = compile.target_key(transfer.info(table).primary_key)
    statement = SQL("DELETE FROM {} AS s WHERE {}::text = ANY({}) RETURNING {}").format(
        transfer.target_table(table.target), primary_key, source.array_of_keys(alone), primary_key
    )
    gone = {tuple(row[0]) for row in transfer.target.execute(statement)}
    rejected = [
        Rejected(own, quarantine.DOUBLE, row, _OF_ANOTHER) for own, target, row in made if tuple(target) in gone
    ]
    return quarantine.add(transfer, table, rejected)


def _remove(transfer: Transfer, table: Table, condition: Composable, reason: str) -> int:
    primary_key = transfer.info(table).primary_key
    statement = SQL("DELETE FROM {} AS s WHERE {} RETURNING {}").format(
        transfer.target_table(table.target), condition, compile.target_key(primary_key)
    )
    keys = [row[0] for row in transfer.target.execute(statement)]
    if not keys:
        return 0
    originals = {tuple(target): (own, row) for own, target, row in source.by_target_key(transfer, table, keys)}
    rejected = []
    for key in keys:
        own, row = originals.get(tuple(key), (key, None))
        rejected.append(Rejected(own, reason, row))
    if transfer.queue is not None and reason.startswith("duplicate_"):
        # Perhaps the other row only waits to be caught up, and this one is in its right.
        capture_queue.enqueue(transfer.queue, table.source, [row.key for row in rejected])
    return quarantine.add(transfer, table, rejected)


def analyze(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Tell the planner about the freshly loaded rows, and mark the chunk done."""
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        transfer.target.execute(SQL("ANALYZE {}").format(transfer.target_table(chunk.table_name)))
        ledger.done(transfer.target, chunk, Outcome())
    return Outcome()
