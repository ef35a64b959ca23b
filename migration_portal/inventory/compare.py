"""Comparing two inventories: has the legacy system's schema or size drifted?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """`drift` changes concern the schema and may break the plan; others are growth."""

    drift: bool
    subject: str
    what: str


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What changed between two inventories' contents, drift first."""
    changes: list[Change] = []
    old, new = before["tables"], after["tables"]
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            changes.append(Change(True, name, "The table is gone."))
        elif name not in old:
            changes.append(Change(True, name, "The table is new."))
        else:
            changes += _columns(name, old[name]["columns"], new[name]["columns"])
            if old[name]["rows"] != new[name]["rows"]:
                changes.append(Change(False, name, f"{old[name]['rows']:,} rows became {new[name]['rows']:,}."))
    tenants = [{tenant["id"] or "(none)" for tenant in content["tenants"]} for content in (before, after)]
    for what, some in (("gone", tenants[0] - tenants[1]), ("new", tenants[1] - tenants[0])):
        if some:
            changes.append(Change(False, "tenants", f"{len(some):,} {what}: {', '.join(sorted(some)[:3])}…"))
    return sorted(changes, key=lambda change: not change.drift)


def _columns(table: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[Change]:
    old = {column["name"]: column for column in before}
    new = {column["name"]: column for column in after}
    changes = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            changes.append(Change(True, f"{table}.{name}", "The column is gone."))
        elif name not in old:
            changes.append(Change(True, f"{table}.{name}", f"The column is new ({new[name]['type']})."))
        elif old[name] != new[name]:
            changes.append(Change(True, f"{table}.{name}", f"{_form(old[name])} became {_form(new[name])}."))
    return changes


def _form(column: dict[str, Any]) -> str:
    return f"{column['type']}{' NOT NULL' if column['not_null'] else ''}"
