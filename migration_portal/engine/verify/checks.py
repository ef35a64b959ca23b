"""The strategy's checks, by name, after every row and field has been compared. A new one is a function in `_CHECKS`.

Counts, e-mails, names and relationships are judged on the comparison of all rows (a sum over
two columns could not find more); references, business rules and speed are asked of the IAM.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.sql import Literal as Value
from psycopg.types.json import Jsonb

from migration_portal.engine import capabilities as deriving
from migration_portal.engine import ledger
from migration_portal.engine.ledger import Chunk, Outcome
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import capabilities
from migration_portal.plan import compile
from migration_portal.plan.spelling import spelled

_SAMPLE = 20
_LONGEST_MS = 200.0


Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """The result of one named check."""

    name: str
    severity: Severity
    summary: str
    advice: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Question:
    transfer: Transfer
    verification: int
    by_field: dict[tuple[str, str], int]
    """(table, field) -> findings; missing and extra rows under field ''."""

    def planned(self, *tables: str) -> bool:
        return {table.target for table in self.transfer.plan.tables} >= set(tables)


def check(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Run all checks that apply to the plan, keep their results, and mark the chunk done."""
    about = {"run": transfer.run, "verification": chunk.spec["verification"]}
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        by_field: dict[tuple[str, str], int] = {}
        for table, name, _, count in transfer.target.execute(queries("checks")["findings_by_field"], about):
            by_field[table, name] = by_field.get((table, name), 0) + count
        question = _Question(transfer, about["verification"], by_field)
        for ask in _CHECKS:
            for result in ask(question):
                arguments = about | result.__dict__ | {"details": Jsonb(result.details)}
                transfer.target.execute(queries("checks")["save"], arguments)
        ledger.done(transfer.target, chunk, Outcome())
    return Outcome()


def _counts(question: _Question) -> Iterator[Check]:
    about = {"run": question.transfer.run, "verification": question.verification}
    for table in question.transfer.plan.tables:
        totals = dict(
            question.transfer.target.execute(
                queries("verification")["totals"], about | {"table": table.target}
            ).fetchall()
        )
        legacy, iam = totals.get("legacy", 0), totals.get("iam", 0)
        absent = question.by_field.get((table.target, ""), 0)
        in_use = ledger.modes(question.transfer.target, question.transfer.run).get(table.target) == "upsert"
        # Of a table without a way back it may hold what it gave while tenants lived there.
        in_use |= question.transfer.queue is not None and not table.returns
        name = "user_counts" if table.target == "users" else f"{table.target}_counts"
        if absent or (legacy != iam and not in_use) or iam < legacy:
            yield Check(
                name, "error", f"{legacy:,} legacy rows should be in the IAM; it holds {iam:,}.",
                "Open the missing and extra rows below; retry or undo the run.", {"legacy": legacy, "iam": iam},
            )  # fmt: skip
        else:
            note = f" (and {iam - legacy:,} of its own)" if iam > legacy else ""
            yield Check(name, "ok", f"{legacy:,} rows on both sides{note}.", details={"legacy": legacy, "iam": iam})


def _fields(name: str, table: str, *columns: str) -> Callable[[_Question], Iterator[Check]]:
    def ask(question: _Question) -> Iterator[Check]:
        if not question.planned(table):
            return
        differing = sum(question.by_field.get((table, column), 0) for column in columns)
        missing = question.by_field.get((table, ""), 0)
        what = " and ".join(columns)
        if differing or missing:
            yield Check(
                name, "error", f"{differing:,} rows differ in {what}; {missing:,} rows are on one side only.",
                "The findings name each row and field. Correct the IAM row, or retry it from legacy.",
                {"differ": differing, "one_side_only": missing},
            )  # fmt: skip
        else:
            yield Check(name, "ok", f"{what} of every row in {table} is the same on both sides.")

    return ask


def _references(question: _Question) -> Iterator[Check]:
    transfer, broken, not_valid = question.transfer, {}, []
    just_validated = _validated_by_this_run(question)
    for table in transfer.plan.tables:
        for key in transfer.info(table).foreign_keys:
            if key.name in just_validated:
                continue
            statement = queries("checks")["orphans"].format(
                child=transfer.target_table(table.target),
                parent=transfer.target_table(key.parent),
                set=compile.all_set(key.columns, "c"),
                joined=compile.same(key.parent_columns, key.columns, "p", "c"),
            )
            if orphans := _one(transfer.target, statement):
                broken[key.name] = orphans
            present = transfer.target.execute(
                "SELECT convalidated FROM pg_constraint WHERE conname = %s AND conrelid = %s::regclass",
                [key.name, transfer.quoted(transfer.schema, table.target)],
            ).fetchone()
            if not present or not present[0]:
                not_valid.append(key.name)
    if broken or not_valid:
        yield Check(
            "referential_integrity", "error",
            f"{sum(broken.values()):,} rows refer to nothing; constraints not in force: {', '.join(not_valid) or 'none'}.",
            "Restore the missing parents or remove the rows, then validate the constraints.",
            {"orphans": broken, "not_valid": not_valid},
        )  # fmt: skip
    else:
        yield Check("referential_integrity", "ok", "Every reference leads somewhere and every foreign key is in force.")


def _validated_by_this_run(question: _Question) -> set[str]:
    """Foreign keys whose every row PostgreSQL itself has checked moments ago; a later verification asks again."""
    if question.verification > 1:
        return set()
    about = {"run": question.transfer.run}
    return {row[0] for row in question.transfer.target.execute(queries("constraints")["validated"], about)}


_RULES: tuple[tuple[str, Severity, str, str, str], ...] = (
    (
        "tenants_without_admin", "warning", "active tenants have no active administrator.",
        "Every active tenant has an active administrator.",
        "Give a user the admin role before these tenants are cut over.",
    ),
    (
        "users_without_role", "error", "users have no role.", "Every user has a role.",
        "Retry their quarantined user_roles rows.",
    ),
    (
        "users_without_tenant", "error", "users belong to no tenant.", "Every user belongs to a tenant.",
        "Restore the tenant or remove the users.",
    ),
)  # fmt: skip
"""Query in checks.sql, severity, what is wrong (after a count), what is right, advice."""


def _business_rules(question: _Question) -> Iterator[Check]:
    if not question.planned("tenants", "users", "user_roles"):
        return
    transfer = question.transfer
    names = {name: transfer.target_table(name) for name in ("tenants", "users", "user_roles", "roles")}
    plan = transfer.plan
    for name, severity, bad, good, advice in _RULES:
        if name == "users_without_role" and plan.table("user_roles").source != plan.table("users").source:
            continue  # who has none in legacy has the default one
        ids = [row[0] for row in transfer.target.execute(queries("checks")[name].format(**names))]
        if ids:
            details = {"sample": ids[:_SAMPLE], "count": len(ids)}
            yield Check(name, severity, f"{len(ids):,} {bad}", advice, details)
        else:
            yield Check(name, "ok", good)


def _capabilities(question: _Question) -> Iterator[Check]:
    for name, right, ids in capabilities.wrong(question.transfer):
        if ids:
            yield Check(
                name, "error", f"Not so for {len(ids):,}: {right}",
                "Run `manage.py portal capabilities`, which derives what is missing; then verify again.",
                {"sample": ids[:_SAMPLE], "count": len(ids)},
            )  # fmt: skip
        else:
            yield Check(name, "ok", right)


def _would_derive(question: _Question) -> Iterator[Check]:
    """Of a dry run: what the capability migration would do."""
    if question.transfer.schema == question.transfer.plan.target_schema:
        return
    for would in deriving.would(question.transfer):
        done = ", ".join(f"{count:,} {what}" for what, count in sorted(would.counts.items())) or "nothing"
        details = {"counts": dict(would.counts), "sample": would.sample}
        yield Check(would.table, "ok", f"A run would derive these rows: {done}.", details=details)


def _performance(question: _Question) -> Iterator[Check]:
    """Key queries on the IAM against the same on legacy: the median of `_SAMPLE` look-ups each, in milliseconds."""
    if not question.planned("users", "licenses"):
        return
    transfer = question.transfer
    lookups = {
        "log in by user name": ("users", ("tenant_id", "username")),
        "log in by e-mail": ("users", ("email",)),
        "licence by key": ("licenses", ("license_key",)),
    }
    slower, timings = [], {}
    for name, (target, columns) in lookups.items():
        table = transfer.table(target)
        mapped = [column.sql if (column := table.column(name)) else "" for name in columns]
        there = tuple(spelled(sql) for sql in mapped)
        if not set(there) <= transfer.source_catalog[table.source].columns.keys():
            continue  # legacy has no such column, or writes it in another way
        wanted = SQL(", ").join(SQL("{}::text").format(Identifier(column)) for column in columns)
        sample = transfer.target.execute(
            SQL("SELECT {} FROM {} TABLESAMPLE SYSTEM (20) LIMIT {}").format(
                wanted, transfer.target_table(target), Value(_SAMPLE)
            )
        ).fetchall()
        if not sample:
            continue
        with transfer.source.transaction():
            legacy = _median(transfer.source, compile.source_table(transfer.plan, table), there, sample)
        iam = _median(transfer.target, transfer.target_table(target), columns, sample)
        timings[name] = {"legacy_ms": round(legacy, 3), "iam_ms": round(iam, 3)}
        if much_slower(iam, than=legacy):
            slower.append(name)
    if slower:
        yield Check(
            "performance", "warning", f"Slower on the IAM: {', '.join(slower)}.",
            "Run ANALYZE on the IAM; look for a missing index.", timings,
        )  # fmt: skip
    elif timings:
        worst = max(timings, key=lambda name: timings[name]["iam_ms"])
        note = f"slowest: {worst}, {timings[worst]['iam_ms']} ms"
        yield Check("performance", "ok", f"Key queries are as fast as on legacy ({note}).", details=timings)


def much_slower(milliseconds: float, *, than: float) -> bool:
    """By half, and by more than what a busy machine makes of the same look-up."""
    return milliseconds > 1.5 * than + 2


def _median(connection: Connection[Any], table: Composable, columns: tuple[str, ...], sample: list[Any]) -> float:
    where = SQL(" AND ").join(SQL("{} = %s").format(Identifier(column)) for column in columns)
    statement = SQL("SELECT * FROM {} WHERE {}").format(table, where)
    times = []
    for values in sample:
        started = time.perf_counter()
        connection.execute(statement, values).fetchall()
        times.append((time.perf_counter() - started) * 1000)
        if sum(times) > _LONGEST_MS:
            break  # a query without an index on one side has made its point
    return statistics.median(times)


def _one(connection: Connection[Any], statement: Composed) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


_CHECKS: tuple[Callable[[_Question], Iterator[Check]], ...] = (
    _counts,
    _fields("emails", "users", "email"),
    _fields("user_names", "users", "username", "full_name"),
    _fields("tenant_relationships", "users", "tenant_id"),
    _fields("licence_assignments", "licenses", "tenant_id", "license_key"),
    _references,
    _business_rules,
    _capabilities,
    _would_derive,
    _performance,
)
