"""Pre-flight: can the plan be carried out between these two servers? Read-only; every finding says what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings
from psycopg import Connection

from migration_portal import databases
from migration_portal.engine import catalog, lookups, subselects
from migration_portal.engine.errors import describe
from migration_portal.inventory.completeness import completeness
from migration_portal.inventory.expressions import expressions, given
from migration_portal.inventory.parents import with_parents
from migration_portal.inventory.sign_in import sign_in
from migration_portal.inventory.surroundings import each, surroundings
from migration_portal.inventory.tenants_written import tenants_written
from migration_portal.inventory.view_sources import view_sources
from migration_portal.inventory.way_back import way_back
from migration_portal.plan import checks, directions
from migration_portal.plan.checks import Finding
from migration_portal.plan.loader import load
from migration_portal.plan.lookups import Found, of_plan, resolved, without_word
from migration_portal.plan.model import Catalog, Plan
from migration_portal.refusal import Refusal
from migration_portal.schema import scripts
from migration_portal.schema.apply import DIRECTORY


def preflight(path: str | Path = "") -> dict[str, Any]:
    """`findings` (severity, subject, what, todo), worst first, and `completeness` by table; see completeness.py.

    Of the plan file at `path`, or of the portal's own.

    What keeps the pre-flight from looking further is a finding, too: nothing is raised but for mistakes of ours.
    """
    findings: list[Finding] = [*_broker()]
    tables: list[dict[str, Any]] = []
    try:
        plan = load(path or settings.MIGRATION_PLAN)
        with databases.both("preflight") as (legacy, iam):
            databases.enter(legacy, plan.source_schema)
            databases.enter(iam, plan.target_schema)
            with legacy.transaction():
                source = catalog.read(legacy, plan.source_schema)
            target = catalog.read(iam, plan.target_schema)
            found = lookups.found(legacy, iam, plan, target)
            plan = resolved(plan, found)
            findings += each(
                ("legacy database", lambda: _server("legacy database", legacy)),
                ("IAM database", lambda: _server("IAM database", iam)),
                ("databases", _different),
                ("IAM schema", lambda: _schema(iam)),
                ("plan", lambda: checks.check(plan, source, target)),
                ("legacy privileges", lambda: _legacy_privileges(legacy, plan, source)),
                ("IAM privileges", lambda: _iam_privileges(iam, plan, target)),
                ("capture", lambda: _capture(legacy, plan, source, target)),
                ("IAM disk", lambda: _disk(legacy, iam, plan, source)),
            )
            findings += surroundings(legacy, iam, plan, source)
            findings += each(("look-ups", lambda: _look_ups(plan, found)))
            if not any(finding.severity == "error" for finding in findings):
                findings += each(
                    ("the plan's SQL", lambda: expressions(legacy, plan, target)),
                    ("the plan's rows", lambda: given(iam, plan, target)),
                )
            if not any(finding.severity == "error" for finding in findings):
                findings += each(
                    ("views", lambda: view_sources(legacy, plan, source)),
                    ("tenants", lambda: tenants_written(legacy, plan, source)),
                )
            if not any(finding.severity == "error" for finding in findings):
                findings += each(("reversing", lambda: way_back(legacy, iam, plan, source, target)))
                findings += each(("sign-in", lambda: sign_in(legacy, plan, target)))
                tables = completeness(legacy, with_parents(legacy, iam, plan, source, target), source, target)
                findings += _rows(tables)
    except Refusal as refusal:
        findings.append(Finding("error", refusal.subject or "pre-flight", refusal.what, refusal.todo))
    except psycopg.Error as error:
        named = describe(error, subject="pre-flight")
        findings.append(Finding("error", named.subject, named.what, named.todo))
    order = {"error": 0, "warning": 1, "info": 2}
    findings.sort(key=lambda finding: order[finding.severity])
    return {"findings": [asdict(finding) for finding in findings], "completeness": tables}


def _broker() -> Iterator[Finding]:
    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_timeout=3, socket_connect_timeout=3).ping()
    except redis.RedisError as error:
        yield Finding(
            "error", "Redis", f"It does not answer ({type(error).__name__}).", "Start it, or correct REDIS_URL."
        )


def _server(name: str, connection: Connection[Any]) -> Iterator[Finding]:
    yield Finding("info", name, f"PostgreSQL {connection.info.parameter_status('server_version')} answers.")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        yield Finding(
            "error" if name.startswith("IAM") else "warning", name, f"Its encoding is {encoding}, not UTF8.",
            "Create the IAM database with ENCODING UTF8; names in other scripts would not fit.",
        )  # fmt: skip


def _different() -> Iterator[Finding]:
    if databases.without_password(settings.LEGACY_DATABASE_URL) == databases.without_password(
        settings.IAM_DATABASE_URL
    ):
        yield Finding(
            "error", "databases", "Legacy and IAM are one and the same database.", "Correct IAM_DATABASE_URL."
        )


def _schema(iam: Connection[Any]) -> Iterator[Finding]:
    states = scripts.states(iam, scripts.read(DIRECTORY))
    for state in states:
        if state.tampered:
            yield Finding(
                "error", state.script.name, "The schema script was changed after it was applied.",
                "Put the applied text back, and write the change as a new script.",
            )  # fmt: skip
        elif state.missing:
            yield Finding(
                "warning", state.script.name, f"Applied, but not there: {', '.join(state.missing)}.",
                "A run that is under way suspends constraints; otherwise somebody dropped them: restore them.",
            )  # fmt: skip
    if waiting := [state.script.name for state in states if not state.applied]:
        yield Finding("error", "IAM schema", f"Not applied: {', '.join(waiting)}.", "Apply the schema scripts.")


def _look_ups(plan: Plan, found: Found) -> Iterator[Finding]:
    """Rows of the IAM that cannot come back, because legacy calls another so."""
    for name, lookup in of_plan(plan).items():
        for word in without_word(lookup, found[name]):
            yield Finding(
                "warning", name, f"Legacy has no word for the IAM's row {word!r}: it calls another so. Who is given it keeps their"
                " tenant from coming back.", "Rename that row in the IAM, or list a word for it under 'words'.",
            )  # fmt: skip


def _legacy_privileges(legacy: Connection[Any], plan: Plan, source: Catalog) -> Iterator[Finding]:
    for name in plan.read:
        if name in source and not _may(legacy, "has_table_privilege(%s, 'SELECT')", plan.source_schema, name):
            yield Finding(
                "error", name, "The role may not read this legacy table.",
                f"GRANT SELECT ON {plan.source_schema}.{name} TO the role in LEGACY_DATABASE_URL.",
            )  # fmt: skip


def _capture(legacy: Connection[Any], plan: Plan, source: Catalog, target: Catalog) -> Iterator[Finding]:
    """What capture needs beyond reading: a schema of our own, and triggers. No superuser, no wal_level, no restart."""
    with legacy.transaction():
        row = legacy.execute(
            "SELECT has_database_privilege(current_database(), 'CREATE') OR to_regnamespace('portal_capture') IS NOT NULL"
        ).fetchone()
    if not row or not row[0]:
        yield Finding(
            "warning", "capture", "The role may not create a schema for captured changes on legacy.",
            "GRANT CREATE ON DATABASE to the role in LEGACY_DATABASE_URL, or run without capture.",
        )  # fmt: skip
    for name in plan.sources:
        for refusal in subselects.uncapturable(legacy, plan, name) if name in source else ():
            yield Finding("warning", f"capture: {refusal.subject}", refusal.what, refusal.todo)
    for refusal in directions.unfollowed(plan, source, target):
        yield Finding("warning", f"capture: {refusal.subject}", refusal.what, refusal.todo)
    owner = "(SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s::regclass)"
    for name in plan.watched:
        if name in source and not _may(legacy, owner, plan.source_schema, name):
            yield Finding(
                "warning", f"capture: {name}", "The role does not own this legacy table, so its changes cannot be captured.",
                f"GRANT the owner of {plan.source_schema}.{name} to the role in LEGACY_DATABASE_URL, or run without capture.",
            )  # fmt: skip


def _iam_privileges(iam: Connection[Any], plan: Plan, target: Catalog) -> Iterator[Finding]:
    row = iam.execute("SELECT has_database_privilege(current_database(), 'CREATE')").fetchone()
    if not row or not row[0]:
        yield Finding(
            "error", "IAM database", "The role may not create schemas; the portal keeps its ledger in one.",
            "GRANT CREATE ON DATABASE to the role in IAM_DATABASE_URL.",
        )  # fmt: skip
    for table in plan.tables:
        owner = "(SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s::regclass)"
        if table.target in target and not _may(iam, owner, plan.target_schema, table.target):
            yield Finding(
                "error", table.target, "The role does not own this IAM table; it suspends constraints while loading.",
                f"ALTER TABLE {plan.target_schema}.{table.target} OWNER TO the role in IAM_DATABASE_URL.",
            )  # fmt: skip


def _may(connection: Connection[Any], question: str, schema: str, table: str) -> bool:
    with connection.transaction():
        row = connection.execute(f"SELECT {question}", [f'"{schema}"."{table}"']).fetchone()  # type: ignore[arg-type]
    return bool(row and row[0])


def _disk(legacy: Connection[Any], iam: Connection[Any], plan: Plan, source: Catalog) -> Iterator[Finding]:
    """Rows, their WAL, and the sort files of index builds: about three times the source."""
    need = 0
    with legacy.transaction():
        for name in plan.watched:
            if name in source:
                row = legacy.execute(
                    "SELECT pg_total_relation_size(%s::regclass)", [f'"{plan.source_schema}"."{name}"']
                ).fetchone()
                need += 3 * int(row[0]) if row else 0
    free = _free_bytes(iam)
    if free is None:
        yield Finding(
            "info", "IAM disk", f"About {_size(need)} will be needed; its free space cannot be seen from here.",
            "Check it on that server.",
        )  # fmt: skip
    elif free < need:
        yield Finding(
            "error", "IAM disk", f"About {_size(need)} will be needed, {_size(free)} are free.", "Make room first."
        )
    else:
        yield Finding("info", "IAM disk", f"About {_size(need)} will be needed, {_size(free)} are free.")


def _free_bytes(iam: Connection[Any]) -> int | None:
    if iam.info.hostaddr not in ("127.0.0.1", "::1", ""):
        return None
    try:
        row = iam.execute("SELECT current_setting('data_directory', true)").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None  # our role need not know where its server keeps its files
    directory = row[0] if row else None
    while directory and not os.path.isdir(directory):
        directory = os.path.dirname(directory) if directory != "/" else None
    return shutil.disk_usage(directory).free if directory else None


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def _rows(tables: list[dict[str, Any]]) -> Iterator[Finding]:
    for table in tables:
        if table["error"]:
            yield Finding(
                "warning", table["table"], f"An expression fails on some rows: {table['error']}",
                "Add a reject rule that names them; else they are found one by one, which is slow.",
            )  # fmt: skip
        for index in table["unforeseen"]:
            yield Finding(
                "warning", f"{table['table']}: {index}", "Which rows collide in this unique index is not foretold.",
                "It is over what the plan does not map, or legacy cannot compute. A dry run counts them.",
            )  # fmt: skip
        for rule in table["rejected"]:
            yield Finding(
                "warning", f"{table['table']}: {rule['rule']}", f"Rows to quarantine: {rule['count']:,}.",
                f"{rule['advice'] or 'Fix them in legacy, or retry them later.'}"
                f" For example: {', '.join(rule['sample']) or 'see the dry run'}.",
            )  # fmt: skip
        for rule in table["quality"]:
            yield Finding("info", f"{table['table']}: {rule['rule']}", f"{rule['count']:,} rows.", rule["advice"])
