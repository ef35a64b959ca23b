"""Setting constraints aside for a load, and settling the table while they are built again.

Building is tried first: when no row is in the way it is all there is to do. When one is, the
rows in the way go to quarantine by one query, and the build is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import capture, ledger, quarantine, source, staging
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.queries import queries
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile
from migration_portal.plan.errors import Refusal
from migration_portal.plan.model import Table


@dataclass(frozen=True)
class Definition:
    """An index or foreign key as it stood before the load."""

    name: str
    kind: str
    definition: str
    is_constraint: bool


def is_empty(sides: Sides, table: Table) -> bool:
    row = sides.iam.execute(SQL("SELECT EXISTS (SELECT FROM {})").format(sides.target_table(table.target))).fetchone()
    return row is not None and not row[0]


def set_aside(sides: Sides, table: Table, definitions_from: str | None = None) -> None:
    """Record how the run treats the table; drop all but the primary key and CHECKs where it is empty.

    `definitions_from` names another schema to take the definitions from: a scratch table has none of its own.
    """
    with sides.iam.transaction():
        sides.iam.execute("SET LOCAL lock_timeout = '5s'")
        sides.iam.execute(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sides.target_table(table.target)))
        mode = "load" if is_empty(sides, table) else "upsert"
        recorded = sides.iam.execute(
            "INSERT INTO portal_ledger.tables (run, table_name, mode) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [sides.run, table.target, mode],
        ).rowcount
        if not recorded or (mode == "upsert" and definitions_from is None):
            return
        for definition in _definitions(sides, table, definitions_from or sides.schema):
            sides.iam.execute(
                "INSERT INTO portal_ledger.set_aside (run, schema_name, table_name, name, kind, definition, is_constraint)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [
                    sides.run, sides.schema, table.target, definition.name, definition.kind,
                    definition.definition, definition.is_constraint,
                ],
            )  # fmt: skip
            if definitions_from is None:
                _drop(sides, table, definition)


def _definitions(sides: Sides, table: Table, schema: str) -> list[Definition]:
    # Parents in the same schema are then named without it, so that a scratch schema's own parents are found.
    sides.iam.execute(SQL("SET LOCAL search_path = {}").format(Identifier(schema)))
    arguments = {"table": sides.iam_name(schema, table.target)}
    found = sides.iam.execute(queries("constraints")["definitions"], arguments)
    return [Definition(*row) for row in found]


def _drop(sides: Sides, table: Table, definition: Definition) -> None:
    if definition.is_constraint:
        statement = SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
            sides.target_table(table.target), Identifier(definition.name)
        )
    else:
        statement = SQL("DROP INDEX {}").format(Identifier(sides.schema, definition.name))
    sides.iam.execute(statement)


def build_chunks(sides: Sides, table: Table, kinds: Sequence[str], *, settle: bool = True) -> list[NewChunk]:
    """One chunk for each index or foreign key that waits to be built; with `settle`, rows in the way are set aside."""
    found = sides.iam.execute(
        "SELECT name FROM portal_ledger.set_aside WHERE run = %s AND table_name = %s AND kind = ANY(%s)"
        " AND restored_at IS NULL ORDER BY kind DESC, name",
        [sides.run, table.target, list(kinds)],
    )
    return [NewChunk("build", table.target, spec={"name": row[0], "settle": settle}) for row in found]


def adopt_chunks(sides: Sides, table: Table) -> list[NewChunk]:
    """One chunk for each unique constraint whose index has been built by now."""
    found = sides.iam.execute(
        "SELECT name FROM portal_ledger.set_aside WHERE run = %s AND table_name = %s AND kind = 'unique'"
        " AND is_constraint AND restored_at IS NULL ORDER BY name",
        [sides.run, table.target],
    )
    return [NewChunk("adopt", table.target, spec={"name": row[0]}) for row in found]


def build(sides: Sides, chunk: Chunk) -> Outcome:
    """Build one index or foreign key and mark the chunk done; rows in the way are quarantined.

    A unique constraint gets its index here and is put back by `adopt`: doing both in one transaction
    would raise a lock that other builders share, and two of them would wait for each other.
    """
    table = sides.table(chunk.table_name)
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        removed = 0
        if definition := _waiting(sides, chunk):
            sides.iam.execute("SET LOCAL maintenance_work_mem = '256MB'")
            # Workers build side by side already: helpers of their own would only stand in each other's way.
            sides.iam.execute("SET LOCAL max_parallel_maintenance_workers = 0")
            sides.iam.execute("SET LOCAL lock_timeout = '60s'")
            removed = _build_or_settle(sides, table, definition, settle=chunk.spec["settle"])
            if definition.kind != "unique" or not definition.is_constraint:
                _restored(sides, chunk)
        outcome = Outcome(written=-removed, quarantined=removed)
        ledger.done(sides.iam, chunk, outcome)
    return outcome


def adopt(sides: Sides, chunk: Chunk) -> Outcome:
    """Make a built index a constraint again, which takes an instant, and mark the chunk done."""
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        if definition := _waiting(sides, chunk):
            sides.iam.execute("SET LOCAL lock_timeout = '60s'")
            name = Identifier(definition.name)
            statement = SQL("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}")
            sides.iam.execute(statement.format(sides.target_table(chunk.table_name), name, name))
            _restored(sides, chunk)
        ledger.done(sides.iam, chunk, Outcome())
    return Outcome()


def _waiting(sides: Sides, chunk: Chunk) -> Definition | None:
    row = sides.iam.execute(
        "SELECT name, kind, definition, is_constraint FROM portal_ledger.set_aside"
        " WHERE run = %s AND table_name = %s AND name = %s AND restored_at IS NULL",
        [sides.run, chunk.table_name, chunk.spec["name"]],
    ).fetchone()
    return Definition(*row) if row else None


def _restored(sides: Sides, chunk: Chunk) -> None:
    sides.iam.execute(
        "UPDATE portal_ledger.set_aside SET restored_at = now() WHERE run = %s AND table_name = %s AND name = %s",
        [sides.run, chunk.table_name, chunk.spec["name"]],
    )


def _build_or_settle(sides: Sides, table: Table, definition: Definition, *, settle: bool) -> int:
    try:
        with sides.iam.transaction():
            _create(sides, table, definition)
        return 0
    except (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation):
        if not settle:
            raise
    removed = _settle(sides, table, definition)
    if not removed:
        raise Refusal(
            f"{definition.name} cannot be built, and no row is in its way.",
            subject=table.target, todo="Look at its definition in the IAM schema script.",
        )  # fmt: skip
    _create(sides, table, definition)
    return removed


def _create(sides: Sides, table: Table, definition: Definition) -> None:
    target = sides.target_table(table.target)
    name = Identifier(definition.name)
    schemas = SQL(", ").join(map(Identifier, dict.fromkeys([sides.schema, sides.plan.target_schema])))
    sides.iam.execute(SQL("SET LOCAL search_path = {}").format(schemas))
    if definition.kind == "foreign_key":
        sides.iam.execute(
            SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(target, name, compile.raw(definition.definition))
        )
        return
    exists = sides.iam.execute("SELECT to_regclass(%s)", [sides.iam_name(sides.schema, definition.name)]).fetchone()
    if exists and exists[0]:
        return  # built before a crash or a cancel, and not adopted yet
    real = _on(sides, sides.plan.target_schema, table.target)
    here = _on(sides, sides.schema, table.target)
    sides.iam.execute(compile.raw(definition.definition.replace(real, here, 1)))


def _on(sides: Sides, schema: str, table: str) -> str:
    """How the server writes the table in an index definition: quoted only where it must be."""
    row = sides.iam.execute("SELECT format(' ON %%I.%%I ', %s::text, %s::text)", [schema, table]).fetchone()
    assert row is not None
    return str(row[0])


def _settle(sides: Sides, table: Table, definition: Definition) -> int:
    """Quarantine the rows that keep the definition from being built. Returns how many."""
    info = sides.info(table)
    if definition.kind == "foreign_key":
        key = next(key for key in info.foreign_keys if key.name == definition.name)
        condition = staging.orphan_condition(key.columns, sides.target_table(key.parent), key.parent_columns)
        return _remove(sides, table, condition, f"missing_{key.parent}")
    columns = info.uniques.get(definition.name)
    if columns is None:
        raise Refusal(
            "Rows collide in a partial or expression index.", subject=definition.name,
            todo="Add a reject rule to the plan that names the rows to set aside.",
        )  # fmt: skip
    names = SQL(", ").join(map(Identifier, columns))
    condition = SQL(
        "s.ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY {names} ORDER BY {key}) AS n"
        " FROM {target} WHERE {set}) AS numbered WHERE n > 1)"
    ).format(
        names=names,
        key=SQL(", ").join(map(Identifier, info.primary_key)),
        target=sides.target_table(table.target),
        set=SQL(" AND ").join(SQL("{} IS NOT NULL").format(Identifier(c)) for c in columns),
    )
    return _remove(sides, table, condition, f"duplicate_{'_'.join(columns)}")


def _remove(sides: Sides, table: Table, condition: Composable, reason: str) -> int:
    primary_key = sides.info(table).primary_key
    statement = SQL("DELETE FROM {} AS s WHERE {} RETURNING {}").format(
        sides.target_table(table.target), condition, compile.target_key(primary_key)
    )
    keys = [row[0] for row in sides.iam.execute(statement)]
    if not keys:
        return 0
    found = {tuple(target): (own, row) for own, target, row in source.by_target_key(sides, table, keys)}
    rejected = []
    for key in keys:
        own, row = found.get(tuple(key), (key, None))
        rejected.append(Rejected(own, reason, row))
    if sides.queue is not None and reason.startswith("duplicate_"):
        # Perhaps the other row only waits to be caught up, and this one is in its right.
        capture.enqueue(sides.queue, table.source, [row.key for row in rejected])
    return quarantine.set_aside(sides, table, rejected)


def analyze(sides: Sides, chunk: Chunk) -> Outcome:
    """Tell the planner about the freshly loaded rows, and mark the chunk done."""
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        sides.iam.execute(SQL("ANALYZE {}").format(sides.target_table(chunk.table_name)))
        ledger.done(sides.iam, chunk, Outcome())
    return Outcome()


# --- the scratch schema of a dry run --------------------------------------------------------


def create_scratch(sides: Sides) -> None:
    """Make an empty copy of each target table, with what the real table holds now, in the scratch schema."""
    with sides.iam.transaction():
        sides.iam.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(sides.schema)))
        for table in sides.plan.tables:
            real = SQL("{}.{}").format(Identifier(sides.plan.target_schema), Identifier(table.target))
            scratch = sides.target_table(table.target)
            exists = sides.iam.execute(
                "SELECT to_regclass(%s)", [sides.iam_name(sides.schema, table.target)]
            ).fetchone()
            if exists and exists[0]:
                continue
            sides.iam.execute(SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)").format(scratch, real))
            key = SQL(", ").join(map(Identifier, sides.info(table).primary_key))
            sides.iam.execute(SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(scratch, key))
            sides.iam.execute(SQL("INSERT INTO {} SELECT * FROM {}").format(scratch, real))


def drop_scratch(iam: psycopg.Connection, schema: str) -> None:  # type: ignore[type-arg]
    iam.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))
