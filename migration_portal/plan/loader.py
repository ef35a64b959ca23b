"""Read a plan file and refuse what is malformed, with the place and the remedy."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from migration_portal.plan import lookups, numbers, places, schema
from migration_portal.plan.errors import PlanError
from migration_portal.plan.mentioned import tokens, words
from migration_portal.plan.model import Column, Given, Plan, Read, Rule, Table, Through
from migration_portal.plan.places import Place
from migration_portal.plan.settings import only, typed
from migration_portal.plan.written import column, reverse, sql_of, uncountable

_NEEDED = {
    "source": 'source = "a legacy table"', "target": 'target = "an IAM table"', "key": 'key = ["the legacy table\'s key"]',
    "columns": "a section of its own, IAM column = SQL",
}  # fmt: skip

# Text that a cast to uuid takes, but that is written in a way that nobody would look it up by: without hyphens, in both cases.
OTHER_UUID = "NOT ({0} LIKE '________-____-____-____-____________' AND {0} IN (lower({0}), upper({0})))"
# Or that would fail the cast. One regular expression for the whole form takes six times as long.
NOT_UUID = OTHER_UUID + " OR {0} LIKE '%-%-%-%-%-%' OR {0} ~ '[^0-9A-Fa-f-]'"

# Text that means a row of `table` whose id is, but for its case, that of another: the one in lower case is the one that arrives.
# (Scalar sub-selects: looked up through the key, and only for ids that are not in lower case.)
TWIN = (
    "{column} <> lower({column}) AND (SELECT true FROM {table} AS twin WHERE twin.id = lower({column}))"
    " AND (SELECT true FROM {table} AS own WHERE own.id = {column})"
)


def load(path: str | Path) -> Plan:
    """Read and parse the TOML file at `path`. Raises PlanError."""
    return parse(read(path), name=str(path))


def read(path: str | Path) -> str:
    """The text of the plan file. Raises PlanError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(
            f"The plan cannot be read ({error.strerror}).", subject=str(path), todo="Set MIGRATION_PLAN to a file."
        ) from error


@lru_cache(maxsize=16)
def parse(text: str, *, name: str = "plan") -> Plan:
    """Parse the text of a plan file; `name` is for error messages. Raises PlanError.

    A run's plan is asked for at every turn of every loop, and never changes.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(
            f"The plan is not valid TOML: {error}.", subject=name, todo="Correct that line; strings stand in quotes."
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number without end
        raise PlanError(
            "The plan is not valid TOML: it is nested too deep, or a number is too long.",
            subject=name,
            todo="Correct it.",
        ) from error
    typed(document, schema.PLAN, name)
    tables = tuple(_table(entry, f"{name}, table {n}") for n, entry in enumerate(document.get("tables", []), 1))
    if not tables:
        raise PlanError("The plan lists no tables.", subject=name, todo="Add at least one [[tables]].")
    found = places.lines(text)
    tables = tuple(_with_lines(_share_secrets(table, tables), n, found) for n, table in enumerate(tables))
    for table in tables:
        _check_through(table, tables, name)
    rows = tuple(_given(entry, n, f"{name}, row {n + 1}", found) for n, entry in enumerate(document.get("rows", [])))
    _check_targets(tables, rows, name)
    plan = Plan(
        name=str(document.get("name", Path(name).stem)),
        description=str(document.get("description", "")),
        tables=tables,
        checksum=hashlib.sha256(text.encode()).hexdigest(),
        source_schema=str(document.get("source_schema", "public")),
        target_schema=str(document.get("target_schema", "public")),
        rows=rows,
    )
    return numbers.in_its_schema(plan)


def _check_targets(tables: tuple[Table, ...], rows: tuple[Given, ...], name: str) -> None:
    """Raises PlanError where a table of the IAM is filled twice, or looked up before it is filled."""
    targets = [table.target for table in tables]
    if both := sorted({row.target for row in rows} & set(targets)):
        raise PlanError(
            f"Filled by rows and by a table: {', '.join(both)}.", subject=name,
            todo="Leave the rows out, or let the table's expressions give them.",
        )  # fmt: skip
    if twice := {target for target in targets if targets.count(target) > 1}:
        raise PlanError(
            f"Filled more than once: {', '.join(sorted(twice))}.",
            subject=name,
            todo="Keep one [[tables]] for each target.",
        )
    filled = {*targets, *(row.target for row in rows)}
    if early := sorted({lookup.of for table in tables for lookup in lookups.of_table(table)} & filled):
        raise PlanError(
            f"Looked up, and filled by the plan: {', '.join(early)}.", subject=name,
            todo="A look-up is for rows that the IAM has before a run begins: map the column as the key of that table is mapped.",
        )  # fmt: skip


def _given(entry: dict[str, Any], number: int, place: str, found: dict[Place, int]) -> Given:
    typed(entry, schema.GIVEN, place)
    _has(entry, ("target", "columns"), place)
    columns = (
        Column(name, sql_of(sql, place, name), line=found.get((number, "rows.columns", name), 0))
        for name, sql in entry["columns"].items()
    )
    return Given(str(entry["target"]), tuple(columns))


def _table(entry: dict[str, Any], place: str) -> Table:
    typed(entry, schema.TABLE, place)
    _has(entry, _NEEDED, place)
    columns = [column(name, sql, entry["source"], place) for name, sql in entry["columns"].items()]
    for name, sql in entry.get("defaults", {}).items():
        if name in entry["columns"]:
            raise PlanError(f"Column {name} has an expression and a default.", subject=place, todo="Keep one of them.")
        columns.append(Column(name, sql_of(sql, place, name), default=True))
    tenant = entry.get("tenant")
    whose = next((column for column in columns if column.name == tenant), None)
    if tenant is not None and whose is None:
        raise PlanError(f"The tenant column {tenant} is not mapped.", subject=place, todo="Map it.")
    if whose is not None and whose.lookup:
        raise PlanError(
            f"The tenant column {tenant} is looked up: what is captured must tell it from the row alone.", subject=place,
            todo="Map it by an expression, such as a CASE over the row's columns.",
        )  # fmt: skip
    return Table(
        source=entry["source"],
        target=entry["target"],
        key=tuple(entry["key"]),
        columns=tuple(columns),
        source_tenant=whose.sql if whose else None,
        target_tenant=f'"{tenant}"' if whose else None,
        through=_through(entry.get("tenant_through"), place),
        view=_view(entry, place),
        ignored=tuple(entry.get("ignored", ())),
        secret=frozenset(entry.get("secret", ())),
        reject=(
            *_rules(entry.get("reject", {}), place, entry["source"]),
            *uncountable(columns),
            *lookups.unfound(columns),
        ),
        quality=_rules(entry.get("quality", {}), place, entry["source"]),
        reads=tuple(
            _read(name, it, entry["source"], tuple(entry["key"]), place) for name, it in entry.get("reads", {}).items()
        ),
        lossy=_lossy(entry, entry["key"], place),
        reverse=reverse(entry, entry["source"], place),
    )


def _has(entry: dict[str, Any], names: Iterable[str], place: str) -> None:
    for needed in names:
        if not entry.get(needed):
            raise PlanError(f"'{needed}' is missing.", subject=place, todo=f"Add it: {_NEEDED[needed]}.")


def _lossy(entry: dict[str, Any], key: Sequence[str], place: str) -> tuple[str, ...]:
    """What the reverse section of a table, or of one that it reads, may bring back as something else."""
    names = entry.get("lossy", ())
    if unknown := sorted(set(names) - set(entry.get("reverse", {}))):
        raise PlanError(
            f"'lossy' names what has no reverse expression: {', '.join(unknown)}.",
            subject=place,
            todo="Add it, or drop it.",
        )
    if keys := sorted(set(names) & set(key)):
        raise PlanError(
            f"'lossy' names the key: {', '.join(keys)}.", subject=place,
            todo="A row must come back as the same one: correct its reverse.",
        )  # fmt: skip
    return tuple(names)


def _with_lines(table: Table, number: int, found: dict[Place, int]) -> Table:
    """The table with the lines that its expressions and rules stand in; `number` is its place in the plan."""

    def placed(section: str, each: Column) -> Column:
        return replace(each, line=found.get((number, "defaults" if each.default else section, each.name), 0))

    def rules(section: str, each: Rule) -> Rule:
        line = found.get((number, section, each.name)) or found.get((number, f"{section}.{each.name}", ""), 0)
        return replace(each, line=line)

    return replace(
        table,
        columns=tuple(placed("columns", each) for each in table.columns),
        reverse=tuple(placed("reverse", each) for each in table.reverse),
        reads=tuple(
            replace(read, reverse=tuple(placed(f"reads.{read.source}.reverse", each) for each in read.reverse))
            for read in table.reads
        ),
        reject=tuple(rules("reject", each) for each in table.reject),
        quality=tuple(rules("quality", each) for each in table.quality),
    )


def _read(name: str, entry: Any, reader: str, key: tuple[str, ...], place: str) -> Read:
    place = f"{place}, reads.{name}"
    if not isinstance(entry, dict) or not isinstance(entry.get("link"), dict):
        raise PlanError("'link' is missing.", subject=place, todo=f'Write it like link = {{ user_id = "{key[0]}" }}.')
    typed(entry, schema.READ, place)
    of_key = {str(ours): str(theirs) for theirs, ours in entry["link"].items()}
    if not of_key or not set(of_key) <= set(key) or len(entry["link"]) != len(of_key):
        raise PlanError(
            f"'link' must name columns of the key, each once: {', '.join(key)}.", subject=place,
            todo=f'Write it like link = {{ user_id = "{key[0]}" }}: its column = the key\'s.',
        )  # fmt: skip
    if entry.get("reverse") and len(of_key) < len(key):
        raise PlanError(
            f"'link' leaves out {', '.join(sorted(set(key) - set(of_key)))}: many rows have no way back into one.", subject=place,
            todo="Name a column for each of the key's, or drop the reverse section.",
        )  # fmt: skip
    linked = tuple(column for column in key if column in of_key)
    return Read(
        source=name,
        link=tuple(of_key[column] for column in linked),
        key=linked,
        ignored=tuple(entry.get("ignored", ())),
        lossy=_lossy(entry, list(entry["link"]), place),
        reverse=reverse(entry, reader, place),
        tenant=str(entry.get("tenant", "")),
        where=str(entry.get("where", "")),
    )


def _view(entry: dict[str, Any], place: str) -> bool:
    """Raises PlanError where the way back would lead into a view."""
    view = bool(entry.get("view", False))
    if view and entry.get("reverse"):
        raise PlanError(
            "Nothing is written into a view.", subject=place,
            todo="Write the reverse section of each table that it reads: [tables.reads.a_table.reverse].",
        )  # fmt: skip
    return view


def _through(entry: Any, place: str) -> Through | None:
    if entry is None:
        return None
    if not isinstance(entry, dict) or len(entry) != 1:
        raise PlanError(
            "'tenant_through' is not understood.",
            subject=place,
            todo='Write it like tenant_through = { users = "user_id" }.',
        )
    [(parent, column)] = entry.items()
    return Through(str(parent), str(column))


def _check_through(table: Table, tables: tuple[Table, ...], name: str) -> None:
    if table.through is None:
        return
    place = f"{name}, {table.target}, tenant_through"
    parent = next((other for other in tables if other.target == table.through.parent), None)
    if parent is None or parent.source_tenant is None or len(parent.key) != 1:
        raise PlanError(
            f"{table.through.parent} is no table of the plan with a tenant and a key of one column.", subject=place,
            todo="Name the IAM table that says whose these rows are.",
        )  # fmt: skip
    if table.source_tenant is not None:
        raise PlanError("It has a tenant of its own, too.", subject=place, todo="Keep one of them.")
    if table.column(table.through.column) is None:
        raise PlanError(f"{table.through.column} is not mapped.", subject=place, todo="Map it.")


def _share_secrets(table: Table, tables: tuple[Table, ...]) -> Table:
    """What is secret in a source row is secret to every table plan that reads it, also where it is not mapped."""
    secret = frozenset().union(*(other.secret for other in tables if other.source == table.source))
    return replace(table, secret=secret)


def _rules(entries: dict[str, Any], place: str, source: str) -> tuple[Rule, ...]:
    rules = []
    for name, entry in entries.items():
        if isinstance(entry, str):
            entry = {"sql": entry}
        only(entry, schema.settings_of(schema.RULE), f"{place}, rule {name}")
        sql = _rule(entry, place, name, source)
        cast = OTHER_UUID.format(entry["uuid"]) if "uuid" in entry else ""
        about = next(iter(words(entry["uuid"])), "") if cast and len(list(tokens(entry["uuid"]))) == 1 else ""
        rules.append(Rule(name, sql, entry.get("advice", ""), cast=cast, about=about))
    return tuple(rules)


def _rule(entry: dict[str, Any], place: str, name: str, source: str) -> str:
    if "uuid" in entry:
        return NOT_UUID.format(entry["uuid"])
    if "twin" in entry:
        return TWIN.format(column=f"{source}.{entry['twin']}", table=sql_of(entry.get("of"), place, name))
    return sql_of(entry.get("sql"), place, name)
