"""Which legacy rows can arrive in the IAM, foretold in legacy alone. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.plan import compile
from migration_portal.plan.model import Catalog, Column, Plan, Referred, Table, TableInfo
from migration_portal.plan.spelling import spelled

_LENGTH = re.compile(r"character varying\((\d+)\)|character\((\d+)\)")
KEY = "portal_source_key"


@dataclass(frozen=True)
class Unfit:
    """A mapped value that the IAM's column refuses: longer than `most` characters, or NULL where `most` is None."""

    column: Column
    most: int | None

    @property
    def reason(self) -> str:
        return f"{self.column.name}_{'null' if self.most is None else 'too_long'}"

    def condition(self, alias: str) -> Composable:
        value = SQL("{}.{}").format(compile.raw(alias), Identifier(self.column.name))
        if self.most is None:
            return SQL("{} IS NULL").format(value)
        return SQL("coalesce(length({}::text) > {}, false)").format(value, Literal(self.most))


def unfit(table: Table, source: TableInfo, target: TableInfo) -> list[Unfit]:
    """What may be refused; not what cannot, because legacy's own column is as short, or never NULL."""
    found = []
    for column in table.columns:
        there, here = target.columns[column.name], source.columns.get(spelled(column.sql))
        bare = here is not None and here.name == column.sql
        most, has = _length(there.full_type), _length(here.full_type) if here and bare else None
        if most is not None and (has is None or has > most):
            found.append(Unfit(column, most))
        if there.not_null and not (here and here.not_null):
            found.append(Unfit(column, None))
    return found


def _length(full_type: str) -> int | None:
    match = _LENGTH.fullmatch(full_type)
    return int(match[1] or match[2]) if match else None


def mapped(plan: Plan, table: Table, target: Catalog) -> Composed:
    """The mapped rows that no reject rule names, with their source key, as a SELECT.

    Computed before anything is asked of them: a condition must not be tried on rows that the rules keep out.
    """
    rows = compile.mapped(
        plan, table, target[table.target], where=SQL("true"),
        extra=[compile.source_key(table) + SQL(" AS {}").format(Identifier(KEY))],
    )  # fmt: skip
    return rows + SQL(" OFFSET 0")


def fitting(plan: Plan, table: Table, source: Catalog, target: Catalog) -> Composed:
    """Those of the mapped rows whose every value fits its column."""
    body = mapped(plan, table, target)
    conditions = [each.condition("fits") for each in unfit(table, source[table.source], target[table.target])]
    if not conditions:
        return body
    return SQL("SELECT fits.* FROM ({}) AS fits WHERE NOT ({})").format(body, SQL(" OR ").join(conditions))


def mappable(plan: Plan, table: Table, source: Catalog, target: Catalog) -> Composed:
    """The fitting rows whose every planned parent can arrive, as a SELECT.

    Follows the target's foreign keys from table to table, so that an orphan's orphans are orphans too.
    """
    body = fitting(plan, table, source, target)
    conditions = [SQL("NOT {}").format(each) for _, each in missing(plan, table, source, target)]
    if not conditions:
        return body
    return SQL("SELECT child.* FROM ({}) AS child WHERE {}").format(body, SQL(" AND ").join(conditions))


def missing(plan: Plan, table: Table, source: Catalog, target: Catalog) -> list[tuple[str, Composable]]:
    """Per parent, the condition on a row `child` that refers to one that cannot arrive, or that the IAM was found not to have."""
    absent = [(each.parent, _among(each)) for each in table.absent]
    there = {(each.column, each.parent): SQL(" AND NOT {}").format(_among(each)) for each in table.present}
    return absent + [
        (
            key.parent,
            SQL("({} AND NOT EXISTS (SELECT FROM ({}) AS parent WHERE {}){})").format(
                compile.all_set(key.columns, "child"),
                mappable(plan, plan.table(key.parent), source, target),
                compile.same(key.parent_columns, key.columns, "parent", "child"),
                there.get((key.columns[0], key.parent), SQL("")),
            ),
        )
        for key in compile.planned_foreign_keys(plan, table, target)
    ]


def _among(referred: Referred) -> Composable:
    values = Literal(list(referred.values))
    return SQL("coalesce(child.{}::text = ANY({}), false)").format(Identifier(referred.column), values)
