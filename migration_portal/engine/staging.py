"""The careful way to copy rows: staged first, so that bad ones can be taken out one by one.

What a query can foresee (duplicates, orphans) is taken out by one query each; what none foresaw
is found by halving the range, or the stage, until the row that fails stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine import ledger, quarantine, source
from migration_portal.engine.errors import blames_a_row, describe
from migration_portal.engine.ledger import Outcome
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.reading import count, pipe, set_rejected_aside
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile
from migration_portal.plan.model import Table

_STAGE = SQL("pg_temp.portal_stage")


def copy_rows(sides: Sides, table: Table, where: Composable) -> Outcome:
    """Copy the source rows that satisfy `where` through a stage, inside the caller's target transaction."""
    with sides.legacy.transaction():
        read = count(sides, table, where)
        refused = set_rejected_aside(sides, table, where)
        _create_stage(sides, table)
        refused += _stage(sides, table, where)
    refused += quarantine.set_aside(sides, table, _foreseen(sides, table))
    refused += quarantine.set_aside(sides, table, _insert(sides, table))
    return Outcome(read=read, written=read - refused, quarantined=refused)


def _create_stage(sides: Sides, table: Table) -> None:
    """A temporary table with the target's NOT NULL and CHECK rules, so that they speak while rows can still be told apart."""
    sides.iam.execute("DROP TABLE IF EXISTS pg_temp.portal_stage")
    sides.iam.execute(
        SQL(
            "CREATE TEMP TABLE portal_stage (LIKE {} INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED,"
            " portal_source_key text[], portal_ordinal bigint GENERATED ALWAYS AS IDENTITY) ON COMMIT DROP"
        ).format(sides.target_table(table.target))
    )


def _stage(sides: Sides, table: Table, where: Composable) -> int:
    """Fill the stage; a range that fails is halved until the row that fails stands alone. Returns rows set aside."""
    try:
        with sides.iam.transaction(), sides.legacy.transaction():
            extra = [compile.source_key(table)]
            select = compile.mapped(sides.plan, table, sides.info(table), where=where, extra=extra)
            columns = [*table.column_names, "portal_source_key"]
            pipe(sides.legacy, select, sides.iam, _STAGE, columns)
        return 0
    except psycopg.Error as error:
        refusal = describe(error, subject=table.target)
        if not blames_a_row(refusal):
            raise
    keys = _some_keys(sides, table, where)
    if len(keys) > 1:
        middle = keys[len(keys) // 2]
        halves = [compile.key_range(table.key, None, middle), compile.key_range(table.key, middle, None)]
        return sum(_stage(sides, table, SQL("({}) AND ({})").format(where, half)) for half in halves)
    if not keys:
        raise refusal
    alone = source.by_source_key(table, keys)
    statement = SQL("SELECT row_to_json({name})::text FROM {table} WHERE {alone}").format(
        name=Identifier(table.source), table=compile.source_table(sides.plan, table), alone=alone
    )
    row = sides.legacy.execute(statement).fetchone()
    rejected = Rejected(keys[0], "cannot_be_mapped", row[0] if row else None, detail=str(refusal))
    return quarantine.set_aside(sides, table, [rejected])


def _some_keys(sides: Sides, table: Table, where: Composable) -> list[list[str]]:
    statement = SQL("SELECT {} FROM {} WHERE ({}) AND NOT {} ORDER BY {}").format(
        compile.source_key(table),
        compile.source_table(sides.plan, table),
        where,
        compile.rejected(table),
        SQL(", ").join(map(Identifier, table.key)),
    )
    return [row[0] for row in sides.legacy.execute(statement)]


def _foreseen(sides: Sides, table: Table) -> list[Rejected]:
    """Take out of the stage what would collide: same key twice, key of another row of this run, taken uniques, orphans."""
    info = sides.info(table)
    rejected = _twice(sides, table, info.primary_key, "duplicate_key")
    rejected += _taken_by_this_run(sides, table, info.primary_key)
    if _constraints_wait(sides, table):
        return rejected  # settled when they are built: parents may be on their way still
    for name, columns in info.uniques.items():
        if all(table.column(c) for c in columns):
            rejected += _twice(sides, table, columns, f"duplicate_{'_'.join(columns)}", nulls=True)
            rejected += _unique_taken(sides, table, columns, f"duplicate_{'_'.join(columns)}", name)
    for key in info.foreign_keys:
        if all(table.column(c) for c in key.columns) and key.parent != table.target:
            parent = sides.target_table(key.parent)
            rejected += _take_out(
                sides, table, orphan_condition(key.columns, parent, key.parent_columns), f"missing_{key.parent}"
            )
    return rejected


def _constraints_wait(sides: Sides, table: Table) -> bool:
    row = sides.iam.execute(
        "SELECT EXISTS (SELECT FROM portal_ledger.set_aside WHERE run = %s AND table_name = %s AND restored_at IS NULL)",
        [sides.run, table.target],
    ).fetchone()
    return bool(row and row[0])


def orphan_condition(columns: Sequence[str], parent: Composable, parent_columns: Sequence[str]) -> Composable:
    """True for rows `s` whose foreign key is set and leads nowhere."""
    return SQL("{set} AND NOT EXISTS (SELECT FROM {parent} AS p WHERE {joined})").format(
        set=SQL(" AND ").join(SQL("s.{} IS NOT NULL").format(Identifier(c)) for c in columns),
        parent=parent,
        joined=compile.same(parent_columns, columns, "p", "s"),
    )


def _twice(sides: Sides, table: Table, columns: Sequence[str], reason: str, *, nulls: bool = False) -> list[Rejected]:
    """Of staged rows that are alike in `columns`, the first source key stays."""
    names = SQL(", ").join(map(Identifier, columns))
    numbered = SQL(
        "s.portal_ordinal IN (SELECT portal_ordinal FROM (SELECT portal_ordinal, row_number() OVER"
        " (PARTITION BY {names} ORDER BY portal_source_key) AS n FROM {stage}{where}) AS numbered WHERE n > 1)"
    ).format(
        names=names,
        stage=_STAGE,
        where=SQL(" WHERE ") + SQL(" AND ").join(SQL("{} IS NOT NULL").format(Identifier(c)) for c in columns)
        if nulls
        else SQL(""),
    )
    return _take_out(sides, table, numbered, reason)


def _taken_by_this_run(sides: Sides, table: Table, primary_key: Sequence[str]) -> list[Rejected]:
    """A row that this run wrote under the same key came from another source row: two ids that are one uuid."""
    taken = SQL("EXISTS (SELECT FROM {} AS t WHERE {} AND t.xmin::text = ANY({}))").format(
        sides.target_table(table.target),
        compile.same(primary_key, primary_key, "t", "s"),
        Literal(list(ledger.xids(sides.iam, sides.run, table.target))),
    )
    return _take_out(sides, table, taken, "duplicate_key")


def _unique_taken(sides: Sides, table: Table, columns: Sequence[str], reason: str, name: str) -> list[Rejected]:
    primary_key = sides.info(table).primary_key
    taken = SQL("EXISTS (SELECT FROM {target} AS t WHERE {same} AND NOT ({key}))").format(
        target=sides.target_table(table.target),
        same=compile.same(columns, columns, "t", "s"),
        key=compile.same(primary_key, primary_key, "t", "s"),
    )
    return _take_out(sides, table, taken, reason, detail=name)


def _take_out(sides: Sides, table: Table, condition: Composable, reason: str, detail: str = "") -> list[Rejected]:
    statement = SQL("DELETE FROM {} AS s WHERE {} RETURNING portal_source_key").format(_STAGE, condition)
    keys = [row[0] for row in sides.iam.execute(statement)]
    return rejections(sides, table, keys, reason, detail)


def rejections(sides: Sides, table: Table, keys: Sequence[list[str]], reason: str, detail: str = "") -> list[Rejected]:
    """Rejected rows by source key, with the row as it is now."""
    if not keys:
        return []
    statement = SQL("SELECT {}, row_to_json({})::text FROM {} WHERE {}").format(
        compile.source_key(table),
        Identifier(table.source),
        compile.source_table(sides.plan, table),
        source.by_source_key(table, keys),
    )
    with sides.legacy.transaction():
        rows = {tuple(key): row for key, row in sides.legacy.execute(statement)}
    return [Rejected(key, reason, rows.get(tuple(key)), detail) for key in keys]


def _insert(sides: Sides, table: Table) -> list[Rejected]:
    """Move the stage into the target; what still collides is found by halving. Records the transactions it wrote in."""
    row = sides.iam.execute(
        SQL("SELECT coalesce(min(portal_ordinal), 0), coalesce(max(portal_ordinal), -1) + 1 FROM {}").format(_STAGE)
    ).fetchone()
    assert row is not None
    if ledger.modes(sides.iam, sides.run).get(table.target) == "upsert":
        sides.iam.execute(remember(sides, table, _STAGE))
    rejected = _insert_range(sides, table, row[0], row[1])
    primary_key = sides.info(table).primary_key
    sides.iam.execute(
        SQL(
            "INSERT INTO portal_ledger.commits (run, table_name, xid) SELECT DISTINCT {run}::uuid, {name}, t.xmin"
            " FROM {target} AS t JOIN {stage} AS s ON {same}"
            " WHERE age(t.xmin) <= age(pg_current_xact_id()::xid)"
        ).format(
            run=Literal(sides.run),
            name=Literal(table.target),
            target=sides.target_table(table.target),
            stage=_STAGE,
            same=compile.same(primary_key, primary_key, "t", "s"),
        )
    )
    return rejected


def _insert_range(sides: Sides, table: Table, first: int, end: int) -> list[Rejected]:
    if first >= end:
        return []
    try:
        with sides.iam.transaction():
            sides.iam.execute(_upsert(sides, table, first, end))
        return []
    except psycopg.Error as error:
        refusal = describe(error, subject=table.target)
        if not blames_a_row(refusal):
            raise
    if end - first > 1:
        middle = (first + end) // 2
        return _insert_range(sides, table, first, middle) + _insert_range(sides, table, middle, end)
    alone = SQL("s.portal_ordinal = {}").format(Literal(first))
    return _take_out(sides, table, alone, "cannot_be_stored", detail=str(refusal))


def overwrites(sides: Sides, table: Table) -> list[str]:
    """What an upsert changes in a row that exists: mapped columns, never the plan's defaults (they are the IAM's by now)."""
    key = sides.info(table).primary_key
    return [column.name for column in table.columns if column.name not in key and not column.default]


def differs(sides: Sides, table: Table, theirs: str, ours: str) -> Composable:
    columns, info = overwrites(sides, table), sides.info(table)

    def row(alias: str) -> Composable:
        return SQL(", ").join(
            SQL("{}.{}{}").format(
                compile.raw(alias),
                Identifier(name),
                SQL("::text" if info.columns[name].type == "json" else ""),
            )
            for name in columns
        )

    return SQL("ROW({}) IS DISTINCT FROM ROW({})").format(row(theirs), row(ours)) if columns else SQL("false")


def remember(sides: Sides, table: Table, stage: Composable) -> Composed:
    """Keep what was there before each row that this run is about to change or add; the first image is the one that counts."""
    key = sides.info(table).primary_key
    return SQL(
        "INSERT INTO portal_ledger.overwritten (run, table_name, key, before)"
        " SELECT {run}, {name}, {key}, CASE WHEN t.xmin IS NOT NULL THEN row_to_json(t) END"
        " FROM {stage} AS s LEFT JOIN {target} AS t ON {same}"
        " WHERE t.xmin IS NULL OR ({differs} AND t.xmin::text <> ALL({ours})) ON CONFLICT DO NOTHING"
    ).format(
        run=Literal(sides.run),
        name=Literal(table.target),
        key=compile.target_key(key, "s"),
        target=sides.target_table(table.target),
        stage=stage,
        same=compile.same(key, key, "t", "s"),
        differs=differs(sides, table, "t", "s"),
        ours=Literal(list(ledger.xids(sides.iam, sides.run, table.target))),
    )


def on_conflict(sides: Sides, table: Table) -> Composable:
    """What an upsert does to a row `t` that is there already: change it, and only where it differs."""
    changed = overwrites(sides, table)
    if not changed:
        return SQL("NOTHING")
    assignments = SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(name)) for name in changed)
    return SQL("UPDATE SET {} WHERE {}").format(assignments, differs(sides, table, "t", "excluded"))


def _upsert(sides: Sides, table: Table, first: int, end: int) -> Composed:
    """Insert staged rows; rows that are there already are changed only where they differ."""
    info = sides.info(table)
    names = SQL(", ").join(map(Identifier, table.column_names))
    return SQL(
        "INSERT INTO {target} AS t ({names}) SELECT {names} FROM {stage}"
        " WHERE portal_ordinal >= {first} AND portal_ordinal < {end} ON CONFLICT ({key}) DO {action}"
    ).format(
        target=sides.target_table(table.target),
        names=names,
        stage=_STAGE,
        first=Literal(first),
        end=Literal(end),
        key=SQL(", ").join(map(Identifier, info.primary_key)),
        action=on_conflict(sides, table),
    )
