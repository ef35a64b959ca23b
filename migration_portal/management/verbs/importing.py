"""Importing a legacy system that is not PostgreSQL, from a terminal."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.importing import files, load, mysql
from migration_portal.management.terminal import Terminal, with_plan
from migration_portal.refusal import Refusal

_STEPS = [
    f"manage.py portal draft_plan PLAN.toml --source-schema {load.SCHEMA}",
    with_plan("preflight", "PLAN.toml"),
    with_plan("start --capture --wait", "PLAN.toml"),
]


def arguments(verbs: Any) -> None:
    importing = verbs.add_parser(
        "import_legacy", help="load a MySQL database, or exported files, into the legacy database"
    )
    importing.add_argument(
        "sources", nargs="+", help="mysql://user:password@host/database, or files: CSV, JSON Lines, JSON"
    )
    importing.add_argument("--key", default="", help="of files: the column that tells rows apart")
    importing.add_argument("--replace", action="store_true", help="import anew")
    importing.add_argument("--json", action="store_true")


def import_legacy(out: Terminal, by: str, options: dict[str, Any]) -> None:
    with ExitStack() as stack:
        tables = []
        for source in options["sources"]:
            if "://" in source and not source.startswith("mysql://"):
                raise Refusal(
                    "It is neither mysql:// nor a file.",
                    subject=source.partition("@")[2] or source,
                    todo="Name one of those.",
                )
            if source.startswith("mysql://"):
                tables += stack.enter_context(mysql.tables_of(source))
            else:
                tables.append(files.table_of(Path(source), key=options["key"]))
        names = [table.name for table in tables]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Refusal(f"Named twice: {', '.join(twice)}.", subject="sources", todo="Rename a file.")
        counts = load.load(stack.enter_context(databases.legacy_writable("import")), tables, replace=options["replace"])
    chain.record(
        "import_legacy",
        object_type="legacy",
        by=by,
        data={"table": ", ".join(counts)[:500], "count": sum(counts.values())},
    )
    lines = [f"{name:<40} {count:>12,} rows" for name, count in counts.items()]
    told = "Writes to the system that was imported are not seen from now on: let nobody write there until its tenants are cut over."
    out.answer(
        {"tables": counts, "schema": load.SCHEMA},
        [*lines, "", told, "Next:", *(f"  {step}" for step in _STEPS)],
        next_steps=_STEPS,
    )


VERBS = {"import_legacy": import_legacy}
