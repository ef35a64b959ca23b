"""What a plan's text would do: whether it fits both databases, and what becomes of a few rows. Read-only, and within seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal import databases
from migration_portal.engine import catalog
from migration_portal.engine.errors import describe
from migration_portal.inventory.expressions import expressions, given
from migration_portal.plan import checks, compile
from migration_portal.plan.checks import Finding, words
from migration_portal.plan.loader import parse
from migration_portal.plan.model import Catalog, Column, Plan, Table
from migration_portal.refusal import Refusal

ROWS = 10
_SECONDS = 5
"""For one statement: a plan is checked while somebody types."""
_LONGEST = 80
_HIDDEN = "••••"
_SAID = re.compile(r"#\s*(LOOK )?(\d{1,3})%(?: · (.*))?$")


@dataclass
class ShownColumn:
    """One IAM column: `rows` are (before, after) as text, before as "column: value"."""

    name: str
    sql: str
    reads: list[str]
    line: int
    look: bool
    said: str
    error: str = ""
    rows: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class ShownTable:
    source: str
    target: str
    columns: list[ShownColumn]
    quarantined: int = 0
    """Of the rows shown, those that a reject rule names."""


@dataclass
class Checked:
    findings: list[Finding] = field(default_factory=list)
    tables: list[ShownTable] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "warning"]


def check(text: str) -> Checked:
    """Parse the text, compare it with both databases, and map the first rows of each table. What is wrong is a finding."""
    checked = Checked()
    try:
        plan = parse(text, name="plan")
        with databases.both("draft") as (legacy, iam):
            databases.enter(legacy, plan.source_schema)
            legacy.execute(SQL("SET statement_timeout = {}").format(Literal(f"{_SECONDS}s")))
            with legacy.transaction():
                source = catalog.read(legacy, plan.source_schema)
            target = catalog.read(iam, plan.target_schema)
            checked.findings += checks.check(plan, source, target)
            if not checked.errors:
                checked.findings += [*expressions(legacy, plan, target), *given(iam, plan, target)]
            fitting = {table.target for table in plan.tables} & target.keys()
            checked.tables = [
                _shown(legacy, plan, table, source, target, text.splitlines())
                for table in plan.tables
                if table.source in source and table.target in fitting
            ]
    except Refusal as refusal:
        checked.findings.append(Finding("error", refusal.subject, refusal.what, refusal.todo))
    except psycopg.Error as error:
        named = describe(error, subject="draft")
        checked.findings.append(Finding("error", named.subject, named.what, named.todo))
    order = {"error": 0, "warning": 1, "info": 2}
    checked.findings.sort(key=lambda finding: order[finding.severity])
    return checked


def _shown(
    legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog, lines: list[str]
) -> ShownTable:
    there = target[table.target].columns
    columns = [_column(table, column, source, lines) for column in table.columns]
    known = [column for column in table.columns if column.name in there]
    shown = ShownTable(table.source, table.target, columns)
    by_name = {column.name: column for column in columns}
    wanted = [
        (column, SQL("({})::{}").format(compile.raw(column.sql), compile.raw(there[column.name].sent_as)))
        for column in known
    ]
    try:
        _rows(legacy, plan, table, source, wanted, by_name, shown)
    except psycopg.Error:
        for column, sql in wanted:  # one of them fails on some row: which
            try:
                _rows(legacy, plan, table, source, [(column, sql)], by_name, shown)
            except psycopg.Error as error:
                by_name[column.name].error = describe(error).what
    return shown


def _rows(
    legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, wanted: Sequence[tuple[Column, Composable]],
    shown: dict[str, ShownColumn], told: ShownTable,
) -> None:  # fmt: skip
    """Map the first rows, and tell each column what becomes of it. Raises psycopg.Error."""
    names = list(source[table.source].columns)
    rejected = compile.rejected(table)
    statement = SQL("SELECT {}, {}, {} FROM (SELECT * FROM {} LIMIT {}) AS {}").format(
        rejected,
        SQL(", ").join(SQL("{}::text").format(Identifier(name)) for name in names),
        SQL(", ").join(SQL("(CASE WHEN NOT {} THEN {} END)::text").format(rejected, sql) for _, sql in wanted),
        compile.source_table(plan, table), Literal(ROWS), Identifier(table.source),
    )  # fmt: skip
    with legacy.transaction():
        found = legacy.execute(statement).fetchall()
    told.quarantined = sum(1 for row in found if row[0])
    for row in found:
        before = dict(zip(names, row[1:], strict=False))
        for (column, _), after in zip(wanted, row[1 + len(names) :], strict=True):
            seen = shown[column.name]
            hidden = bool({column.name, *seen.reads} & table.secret)
            was = "; ".join(f"{name}: {_short(before[name], hidden)}" for name in seen.reads if name in before)
            seen.rows.append((was or "—", "quarantined" if row[0] else _short(after, hidden)))


def _column(table: Table, column: Column, source: Catalog, lines: list[str]) -> ShownColumn:
    mentioned = set(words(column.sql))
    reads = [name for name in source[table.source].columns if name in mentioned]
    said = _SAID.search(lines[column.line - 1]) if 0 < column.line <= len(lines) else None
    return ShownColumn(
        column.name, column.written, reads, column.line, bool(said and said[1]),
        f"{said[2]}%{' · ' + said[3] if said[3] else ''}" if said else "",
    )  # fmt: skip


def _short(value: str | None, hidden: bool) -> str:
    if value is None:
        return "NULL"
    return _HIDDEN if hidden else value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
