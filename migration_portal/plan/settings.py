"""Whether a section of a plan file holds what the schema knows, each of the right kind. Pure."""

from __future__ import annotations

from typing import Any

from migration_portal.plan import schema
from migration_portal.plan.errors import PlanError


def only(entry: Any, known: set[str], place: str) -> None:
    if not isinstance(entry, dict):
        raise PlanError(
            "A section is expected here.", subject=place, todo=f"Known settings are: {', '.join(sorted(known))}."
        )
    if unknown := sorted(set(entry) - known):
        raise PlanError(
            f"Unknown setting: {', '.join(unknown)}.", subject=place, todo=f"Known are: {', '.join(sorted(known))}."
        )


_KINDS: dict[str, tuple[type[Any], str]] = {
    "object": (dict, "a section"), "array": (list, "a list"), "string": (str, "a text in quotes"),
    "boolean": (bool, "true or false"),
}  # fmt: skip


def typed(entry: Any, of: dict[str, Any], place: str) -> None:
    """Raises PlanError for a setting that the schema does not know, or that is of another kind there, in lists too."""
    only(entry, schema.settings_of(of), place)
    for name, value in entry.items():
        about = of["properties"][name]
        kind, said = _KINDS.get(about.get("type", ""), (object, ""))
        if not isinstance(value, kind):
            raise PlanError(f"'{name}' must be {said}.", subject=place, todo="Correct it.")
        each = _KINDS.get(about.get("items", {}).get("type", ""))
        if each and isinstance(value, list) and not all(isinstance(item, each[0]) for item in value):
            raise PlanError(f"'{name}' must be a list, each of it {each[1]}.", subject=place, todo="Correct it.")
