"""Who refers to a target row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table

Reference = tuple[str, tuple[str, ...], tuple[str, ...]]
"""The table that refers, its columns, and those that they refer to."""


def referring(transfer: Transfer, table: Table, *, changing: bool = False) -> list[Reference]:
    """Who refers to the table's rows, by the target's own foreign keys; those alone who change along with a key, if asked."""
    found = _referring(transfer, transfer.quoted(transfer.schema, table.target))
    return [_reference(row) for row in found if row["changes_along"] or not changing]


def _reference(row: Mapping[str, Any]) -> Reference:
    return row["child"], tuple(row["columns"]), tuple(row["parent_columns"])


def _referring(transfer: Transfer, name: str) -> list[dict[str, Any]]:
    return rows(transfer.target, queries("catalog")["referring"], {"table": name})


def taking_nobody_along(transfer: Transfer, table: Table) -> Composable:
    """Nobody refers to the row `t` who would go with it."""
    found = _referring(transfer, transfer.quoted(transfer.schema, table.target))
    return _nobody(_reference(row) for row in found if row["cascades"])


def changing_nobody(transfer: Transfer, table: Table, whose: Mapping[str, Callable[[str], Composable]]) -> Composable:
    """No row of the tables that `whose` names goes along with the row `t`, or loses what refers to it: by whatever tables between.

    `whose` says for each which rows are meant, of an alias.
    """
    along = list(_along(transfer, transfer.quoted(transfer.schema, table.target), "t", whose, frozenset()))
    return SQL(" AND NOT ({})").format(SQL(" OR ").join(along)) if along else SQL("")


def _along(
    transfer: Transfer, name: str, row: str, whose: Mapping[str, Callable[[str], Composable]], passed: frozenset[str]
) -> Iterator[Composable]:
    alias = f"a{len(passed)}"
    for each in _referring(transfer, name):
        joined = compile.same(each["columns"], each["parent_columns"], alias, row)
        if each["schema"] == transfer.schema and each["name"] in whose:
            found = whose[each["name"]](alias) if each["goes_along"] else None
        elif each["cascades"] and each["child"] not in passed:
            further = list(_along(transfer, each["child"], alias, whose, passed | {each["child"]}))
            found = SQL("({})").format(SQL(" OR ").join(further)) if further else None
        else:
            found = None
        if found is not None:
            yield SQL("EXISTS (SELECT FROM {} AS {} WHERE {} AND {})").format(
                compile.raw(each["child"]), Identifier(alias), joined, found
            )


def unreferenced(transfer: Transfer, table: Table) -> Composable:
    """Nobody refers to the row `t`: what still stands on it was edited or added since, and keeps it.

    The plan's own foreign keys are asked too: suspended ones are not in the catalog.
    """
    references = set(referring(transfer, table))
    for other in transfer.plan.tables:
        for key in transfer.info(other).foreign_keys:
            if key.parent == table.target:
                child = transfer.target_table(other.target).as_string(transfer.target)
                references.add((child, key.columns, key.parent_columns))
    return _nobody(references)


def _nobody(references: Iterable[Reference]) -> Composable:
    conditions = [
        SQL(" AND NOT EXISTS (SELECT FROM {child} AS c WHERE {joined})").format(
            child=compile.raw(child),
            joined=compile.same(columns, parent_columns, "c", "t"),
        )
        for child, columns, parent_columns in sorted(references)
    ]
    return SQL("").join(conditions)
