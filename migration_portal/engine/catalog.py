"""Reading a database's catalog into the plan's `Catalog`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Jsonb

from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.plan.model import Catalog, ColumnInfo, ForeignKey, TableInfo, Unique, mentions

Types = dict[str, dict[str, str]]
"""By table and column."""


def read(connection: Connection[Any], schema: str) -> Catalog:
    """The tables and views of `schema` with columns, keys and foreign keys."""
    arguments = {"schema": schema}
    columns: dict[str, dict[str, ColumnInfo]] = {}
    views = set()
    for row in rows(connection, queries("catalog")["columns"], arguments):
        table = row.pop("table_name")
        if row.pop("of_view"):
            views.add(table)
        columns.setdefault(table, {})[row["name"]] = ColumnInfo(**row)
    primary: dict[str, tuple[str, ...]] = {}
    uniques: dict[str, dict[str, Unique]] = {}
    deferrable: dict[str, list[tuple[str, ...]]] = {}
    for row in rows(connection, queries("catalog")["keys"], arguments):
        if row["deferrable"]:
            deferrable.setdefault(row["table_name"], []).append(tuple(row["columns"]))
        if row["is_primary"]:
            primary[row["table_name"]] = tuple(row["columns"])
        else:
            uniques.setdefault(row["table_name"], {})[row["name"]] = _index(row)
    foreign: dict[str, list[ForeignKey]] = {}
    for row in rows(connection, queries("catalog")["foreign_keys"], arguments):
        foreign.setdefault(row["table_name"], []).append(
            ForeignKey(
                row["name"], tuple(row["columns"]), row["parent"], tuple(row["parent_columns"]), row["validated"]
            )
        )
    return {
        name: TableInfo(
            name,
            its_columns,
            primary.get(name, ()),
            uniques.get(name, {}),
            tuple(foreign.get(name, ())),
            name in views,
            tuple(deferrable.get(name, ())),
        )
        for name, its_columns in columns.items()
    }


def remember(iam: Connection[Any], run: UUID, source: Catalog, target: Catalog) -> None:
    """Keep both catalogs with the run, as they are before constraints are suspended. The first call counts."""
    iam.execute(
        "INSERT INTO portal_ledger.catalogs (run, source, target) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [run, Jsonb(_plain(source)), Jsonb(_plain(target))],
    )


def recall(iam: Connection[Any], run: UUID) -> tuple[Catalog, Catalog] | None:
    """The catalogs that `remember` kept, or None before it did."""
    row = iam.execute("SELECT source, target FROM portal_ledger.catalogs WHERE run = %s", [run]).fetchone()
    return (_catalog(row[0]), _catalog(row[1])) if row else None


def types(connection: Connection[Any], schema: str, names: Iterable[str]) -> Types:
    """The full types of these tables' columns; a table that is gone is not among them."""
    found: Types = {}
    for row in rows(connection, queries("catalog")["types"], {"schema": schema, "tables": list(names)}):
        found.setdefault(row["table_name"], {})[row["name"]] = row["full_type"]
    return found


def unique_columns(connection: Connection[Any], schema: str, names: Iterable[str]) -> dict[str, list[set[str]]]:
    """The sets of columns in which no two rows of these tables may be the same, by indexes over all rows."""
    found: dict[str, list[set[str]]] = {}
    for row in rows(connection, queries("catalog")["unique_columns"], {"schema": schema, "tables": list(names)}):
        found.setdefault(row["table_name"], []).append(set(row["columns"]))
    return found


def drift(remembered: Catalog, now: Types, names: Iterable[str]) -> list[str]:
    """How these tables' columns differ from what the run began with, in words."""
    changes: list[str] = []
    for name in dict.fromkeys(names):
        before, after = remembered[name].columns, now.get(name, {})
        if not after:
            changes.append(f"table {name} is gone")
            continue
        changes += [f"{name}.{column} is new" for column in sorted(after.keys() - before.keys())]
        changes += [f"{name}.{column} is gone" for column in sorted(before.keys() - after.keys())]
        changes += [
            f"{name}.{column} is {after[column]} now, it was {before[column].full_type}"
            for column in sorted(before.keys() & after.keys())
            if before[column].full_type not in ("", after[column])
        ]
    return changes


def _plain(catalog: Catalog) -> dict[str, Any]:
    return {name: asdict(info) for name, info in catalog.items()}


def _catalog(plain: dict[str, Any]) -> Catalog:
    # jsonb keeps no order of keys: only the columns' names matter to those who read a remembered catalog.
    return {
        name: TableInfo(
            name=name,
            columns={column: ColumnInfo(**info) for column, info in table["columns"].items()},
            primary_key=tuple(table["primary_key"]),
            uniques={index: _unique(said) for index, said in table["uniques"].items()},
            foreign_keys=tuple(
                ForeignKey(
                    key["name"], tuple(key["columns"]), key["parent"], tuple(key["parent_columns"]), key["validated"]
                )
                for key in table["foreign_keys"]
            ),
            view=table.get("view", False),
            deferrable=tuple(tuple(columns) for columns in table.get("deferrable", ())),
        )
        for name, table in plain.items()
    }


def _index(row: dict[str, Any]) -> Unique:
    columns, parts = tuple(row["columns"]), tuple(row["parts"])
    if parts:  # an index depends on the columns that it only INCLUDEs, too
        columns = tuple(name for name in columns if any(mentions(sql, name) for sql in (*parts, row["condition"])))
    return Unique(columns, parts, row["condition"], row["nulls_alike"])


def _unique(plain: dict[str, Any] | list[str]) -> Unique:
    if isinstance(plain, list):  # an earlier version remembered the columns alone
        return Unique(tuple(plain))
    return Unique(tuple(plain["columns"]), tuple(plain["parts"]), plain["where"], plain["nulls_alike"])
