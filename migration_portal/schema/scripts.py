"""The numbered SQL scripts that make up the IAM's schema: apply, validate, roll back.

Each runs in one transaction, under one advisory lock, giving up on locks it cannot have soon:
a failure leaves nothing half-applied. A script that was changed after it was applied is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from migration_portal.engine import ledger
from migration_portal.engine.errors import describe
from migration_portal.locks import Lock
from migration_portal.refusal import Refusal


class ScriptTampered(Refusal):
    """A script differs from what was applied."""


class ScriptFailed(Refusal):
    """A script's SQL failed, or what it promises is not there afterwards. Rolled back."""


@dataclass(frozen=True)
class Script:
    """`001_oauth`: its two files and what it promises, as (kind, name) pairs."""

    name: str
    up: str
    down: str
    promises: tuple[tuple[str, str], ...]

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.up.encode()).hexdigest()


@dataclass(frozen=True)
class State:
    """A script and what the IAM knows of it. `missing` are promised objects that are not there."""

    script: Script
    applied_at: Any = None
    applied_by: str = ""
    tampered: bool = False
    missing: tuple[str, ...] = ()

    @property
    def applied(self) -> bool:
        return self.applied_at is not None


def read(directory: Path) -> list[Script]:
    """The scripts of a directory in order. Raises Refusal when one lacks its counterpart."""
    scripts = []
    for up in sorted(directory.glob("*.up.sql")):
        name = up.name.removesuffix(".up.sql")
        down = directory / f"{name}.down.sql"
        if not down.exists():
            raise Refusal("The script cannot be rolled back.", subject=up.name, todo=f"Add {down.name}.")
        text = up.read_text(encoding="utf-8")
        promises = tuple(re.findall(r"^-- promises: (\w+) (\S.*?)\s*$", text, flags=re.MULTILINE))
        scripts.append(Script(name, text, down.read_text(encoding="utf-8"), promises))
    return scripts


def states(iam: Connection[Any], scripts: list[Script]) -> list[State]:
    """Each script with its record and whether its promises hold."""
    if not ledger.ready(iam):
        return [State(script) for script in scripts]
    records = {row["name"]: row for row in ledger.rows(iam, "SELECT * FROM portal_ledger.schema_scripts")}
    result = []
    for script in scripts:
        record = records.get(script.name)
        if record is None:
            result.append(State(script))
            continue
        tampered = record["checksum"] != script.checksum
        missing = tuple(_broken_promises(iam, script))
        result.append(State(script, record["applied_at"], record["applied_by"], tampered, missing))
    return result


def apply(iam: Connection[Any], scripts: list[Script], *, by: str) -> list[str]:
    """Apply what is not applied yet, in order. Returns the names applied now.

    Raises ScriptTampered before anything is done, ScriptFailed or a described error for the first that fails;
    the scripts before that one stay applied.
    """
    ledger.install(iam)
    refuse_tampered(states(iam, scripts))
    applied = []
    for script in scripts:
        with _one_at_a_time(iam, script.name):
            if _record(iam, script) is None:
                iam.execute(script.up.encode())
                if broken := list(_broken_promises(iam, script)):
                    raise ScriptFailed(
                        f"After it ran, these are not there: {', '.join(broken)}.", subject=script.name,
                        todo="It was rolled back. Correct the script or its promises.",
                    )  # fmt: skip
                iam.execute(
                    "INSERT INTO portal_ledger.schema_scripts (name, checksum, applied_by) VALUES (%s, %s, %s)",
                    [script.name, script.checksum, by],
                )
                applied.append(script.name)
    return applied


def roll_back(iam: Connection[Any], scripts: list[Script], *, to: str | None = None) -> list[str]:
    """Roll applied scripts back in reverse order, down to but not including `to`: all of them, or none. Returns the names.

    Raises ScriptFailed when rows or values of theirs would be lost: undo the runs that wrote them first. Refusal for an
    unknown `to`.
    """
    names = [script.name for script in scripts]
    if to is not None and to not in names:
        raise Refusal("There is no such script.", subject=to, todo=f"The first is {names[0]}, the last {names[-1]}.")
    if not ledger.ready(iam):
        return []
    later = scripts[names.index(to) + 1 :] if to else scripts
    with _one_at_a_time(iam, "schema"):
        applied = [script for script in reversed(later) if _record(iam, script) is not None]
        # Before the first, not each before its own: an IAM that is in use must not lose what its later scripts gave it.
        if held := [name for script in applied for name in _holding(iam, script)]:
            raise ScriptFailed(
                f"Nothing was rolled back: rows and values would be lost, of {', '.join(held)}.", subject="schema",
                todo="Undo the runs that wrote them, then roll the schema back.",
            )  # fmt: skip
        for script in applied:
            with _one_at_a_time(iam, script.name):
                iam.execute(script.down.encode())
                iam.execute("DELETE FROM portal_ledger.schema_scripts WHERE name = %s", [script.name])
    return [script.name for script in applied]


def refuse_tampered(result: list[State]) -> None:
    """Raises ScriptTampered when an applied script was changed since."""
    if changed := [state.script.name for state in result if state.tampered]:
        raise ScriptTampered(
            "The script was changed after it was applied.", subject=", ".join(changed),
            todo="Put the applied text back, and write the change as a new script.",
        )  # fmt: skip


@contextmanager
def _one_at_a_time(iam: Connection[Any], subject: str) -> Iterator[None]:
    """A transaction under the scripts' lock, whose errors are named."""
    try:
        with iam.transaction():
            iam.execute("SET LOCAL lock_timeout = '5s'")
            iam.execute("SELECT pg_advisory_xact_lock(%s)", [int(Lock.SCHEMA)])
            yield
    except psycopg.Error as error:
        refusal = describe(error, subject=subject)
        todo = f"It was rolled back. {refusal.todo}".strip()
        raise ScriptFailed(refusal.what, subject=refusal.subject, todo=todo) from error


def _record(iam: Connection[Any], script: Script) -> Any:
    statement = "SELECT applied_at FROM portal_ledger.schema_scripts WHERE name = %s"
    return iam.execute(statement, [script.name]).fetchone()


def _broken_promises(iam: Connection[Any], script: Script) -> Iterator[str]:
    for kind, name in script.promises:
        if not _kept(iam, kind, name):
            yield f"{kind} {name}"


def _kept(iam: Connection[Any], kind: str, name: str) -> bool:
    if kind in ("table", "index"):
        row = iam.execute("SELECT to_regclass(%s)", [f"public.{name}"]).fetchone()
    elif kind in ("column", "constraint"):
        table, _, part = name.partition(".")
        statement = (
            "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped"
            if kind == "column"
            else "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"
        )
        row = iam.execute(statement, [f"public.{table}", part]).fetchone()
    elif kind == "row":
        table, _, condition = name.partition(" ")
        column, _, value = condition.partition("=")
        lookup = SQL("SELECT 1 FROM {} WHERE {} = %s").format(Identifier("public", table), Identifier(column))
        row = iam.execute(lookup, [value]).fetchone()
    else:
        raise Refusal(f"Unknown kind of promise: {kind}.", todo="Use table, index, column, constraint or row.")
    return row is not None and row[0] is not None


_COMPUTED = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND attgenerated <> ''"


def _holding(iam: Connection[Any], script: Script) -> Iterator[str]:
    """Promised tables with rows that the script itself did not bring, and promised columns with values that are not computed."""
    brought = set(re.findall(r"^INSERT INTO (\w+)", script.up, flags=re.MULTILINE))
    for kind, name in script.promises:
        table, _, column = name.partition(".")
        if kind not in ("table", "column") or table in brought or not _kept(iam, kind, name):
            continue
        if column and iam.execute(_COMPUTED, [f"public.{table}", column]).fetchone():
            continue
        some = SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(
            Identifier("public", table), SQL("{} IS NOT NULL").format(Identifier(column)) if column else SQL("true")
        )
        row = iam.execute(some).fetchone()
        if row and row[0]:
            yield name
