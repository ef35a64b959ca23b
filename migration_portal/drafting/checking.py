"""What a plan's text would do: whether it fits both databases, and what becomes of a few rows. Read-only, and within seconds."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal import databases
from migration_portal.engine import catalog, lookups
from migration_portal.engine.errors import describe, fault_of
from migration_portal.inventory.expressions import expressions, given
from migration_portal.plan import checks, compile
from migration_portal.plan.checks import Finding
from migration_portal.plan.loader import parse
from migration_portal.plan.mentioned import words
from migration_portal.plan.model import Catalog, Column, Plan, Table
from migration_portal.refusal import Refusal

ROWS = 10
_SECONDS = 10.0
"""For all of it: a plan is checked while somebody types."""
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
    def failing(self) -> list[str]:
        """The columns that fail on some of the rows shown."""
        return [f"{table.target}.{column.name}" for table in self.tables for column in table.columns if column.error]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "warning"]


def check(text: str) -> Checked:
    """Parse the text, compare it with both databases, and map the first rows of each table. What is wrong is a finding."""
    checked = Checked()
    try:
        plan = parse(text, name="plan")
        with databases.legacy("draft") as legacy, databases.iam_source("draft") as iam, _deadline(legacy, iam):
            databases.enter(legacy, plan.source_schema)
            databases.enter(iam, plan.target_schema)
            with legacy.transaction():
                source = catalog.read(legacy, plan.source_schema)
            target = catalog.read(iam, plan.target_schema)
            plan = lookups.with_found(legacy, iam, plan, target)
            checked.findings += checks.check(plan, source, target)
            if not checked.errors:
                checked.findings += [*expressions(legacy, plan, target), *given(iam, plan, target)]
            fitting = {table.target for table in plan.tables} & target.keys()
            for table in plan.tables if not checked.errors else ():
                if found := _failing_rule(legacy, plan, table):
                    rule, error = found
                    what = f"The rule fails on some row: {describe(error).what}"
                    checked.findings.append(Finding("error", f"{table.target}: {rule}", what, "Correct the rule."))
            checked.tables = [
                _shown(legacy, plan, table, source, target, text.split("\n"))
                for table in plan.tables
                if table.source in source and table.target in fitting
            ]
    except Refusal as refusal:
        checked.findings.append(Finding("error", refusal.subject, refusal.what, refusal.todo))
    except psycopg.errors.QueryCanceled:
        what = f"It takes longer than {_SECONDS:.0f} seconds to look at some rows of it."
        checked.findings.append(
            Finding("error", "draft", what, "Find the expression or rule that is slow, or run pre-flight.")
        )
    except psycopg.Error as error:
        named = describe(error, subject="draft")
        checked.findings.append(Finding("error", named.subject, named.what, named.todo))
    order = {"error": 0, "warning": 1, "info": 2}
    checked.findings.sort(key=lambda finding: order[finding.severity])
    return checked


@contextmanager
def _deadline(*sessions: Connection[Any]) -> Iterator[None]:
    """Read-only sessions, in which nothing runs on when the time is up: whatever a statement has set."""
    over = threading.Event()

    def cancel() -> None:
        if over.wait(_SECONDS):
            return
        while not over.wait(0.2):
            for session in sessions:
                session.cancel_safe(timeout=2)

    for session in sessions:
        session.execute("SET default_transaction_read_only = on")
    watch = threading.Thread(target=cancel, daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _failing_rule(legacy: Connection[Any], plan: Plan, table: Table) -> tuple[str, psycopg.Error] | None:
    """A reject rule that fails on one of the first rows: every column would seem to."""
    for rule in table.reject:
        statement = SQL("SELECT ({}) IS TRUE FROM (SELECT * FROM {} LIMIT {}) AS {}").format(
            compile.raw(rule.sql), compile.source_table(plan, table), Literal(ROWS), Identifier(table.source)
        )
        if error := fault_of(legacy, statement):
            return rule.name, error
    return None


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
    except psycopg.errors.QueryCanceled:
        raise
    except psycopg.Error:
        for column, sql in wanted:  # one of them fails on some row: which
            try:
                _rows(legacy, plan, table, source, [(column, sql)], by_name, shown)
            except psycopg.errors.QueryCanceled:
                raise
            except psycopg.Error as error:
                # What it says may quote a value.
                secret = {column.name, *by_name[column.name].reads} & table.secret
                by_name[column.name].error = "It fails on some row." if secret else describe(error).what
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
        found = legacy.execute(statement, prepare=True).fetchall()  # one statement, whatever is in it
    told.quarantined = sum(1 for row in found if row[0])
    for row in found:
        before = dict(zip(names, row[1:], strict=False))
        for (column, _), after in zip(wanted, row[1 + len(names) :], strict=True):
            seen = shown[column.name]
            hidden = bool({column.name, *seen.reads} & table.secret)
            was = "; ".join(f"{name}: {_short(before[name], hidden)}" for name in seen.reads if name in before)
            seen.rows.append((was or "—", "quarantined" if row[0] else _short(after, hidden)))


def _column(table: Table, column: Column, source: Catalog, lines: list[str]) -> ShownColumn:
    mentioned = set(words(column.reading))
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
