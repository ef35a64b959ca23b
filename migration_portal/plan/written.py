"""Columns as a plan file writes them: by an expression, by a number of legacy's, or by a row that the IAM has. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migration_portal.plan import lookups, numbers, schema
from migration_portal.plan.errors import PlanError
from migration_portal.plan.model import Column, Lookup, Number, Rule
from migration_portal.plan.settings import only, typed


def reverse(entry: dict[str, Any], source: str, place: str) -> tuple[Column, ...]:
    """Those of an entry's reverse section. Raises PlanError."""
    return tuple(column(name, value, source, place, back=True) for name, value in entry.get("reverse", {}).items())


def column(name: str, value: Any, source: str, place: str, *, back: bool = False) -> Column:
    """A column by an expression, by a number of a legacy table's, or by a row that the IAM has. Raises PlanError."""
    if not isinstance(value, dict):
        return Column(name, sql_of(value, place, name))
    if "lookup" in value:
        lookup = _lookup(value, f"{place}, {name}")
        return Column(name, (lookups.back if back else lookups.there)(lookup, {}), lookup=lookup)
    only(value, schema.settings_of(schema.NUMBER), f"{place}, {name}")
    if not isinstance(value.get("number"), str):
        raise PlanError("'number' is missing.", subject=f"{place}, {name}", todo='Write it like { number = "id" }.')
    number = Number(str(value.get("of", source)), value["number"])
    return Column(name, (numbers.back if back else numbers.there)(number), number=number)


def _lookup(value: dict[str, Any], place: str) -> Lookup:
    typed(value, schema.LOOKUP, place)
    for needed in ("lookup", "by", "value"):
        if not value.get(needed):
            raise PlanError(
                f"'{needed}' is missing.", subject=place,
                todo='Write it like { lookup = "permissions", by = "name", value = "a column" }.',
            )  # fmt: skip
    words = value.get("words", {})
    if not all(isinstance(theirs, str) for theirs in words.values()):
        raise PlanError("'words' must be texts.", subject=place, todo='Write them like words = { staff = "user" }.')
    return Lookup(value["lookup"], value["by"], value["value"], value.get("where", ""), tuple(words.items()))


def uncountable(columns: list[Column]) -> Iterator[Rule]:
    """A number that no UUID can stand for must not become a reference to nothing."""
    for number in dict.fromkeys(column.number for column in columns):
        if number is not None:
            advice = "UUIDs stand for numbers from 0 to 2⁴⁸ - 1: map these rows by an expression of their own."
            yield Rule(f"{number.over}_has_no_uuid", numbers.uncountable(number), advice)


def sql_of(value: Any, place: str, name: str) -> str:
    """A constant or an expression, as SQL. Raises PlanError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise PlanError(f"'{name}' needs an SQL expression.", subject=place, todo="Write one, or NULL.")
    return value.strip()
