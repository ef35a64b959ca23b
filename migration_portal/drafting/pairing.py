"""Which legacy table fills which IAM table. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from migration_portal.drafting import names
from migration_portal.plan import derived
from migration_portal.plan.model import Catalog, TableInfo

_ENOUGH = 0.5
_UNNAMED = 0.6
"""What a name counts that says nothing, where the columns are alike."""
_COLUMNS = 4
"""That tables must share whose names are not alike: everything has an id and a name."""
_OURS = {"system_capabilities", "audit_log", *(table.target for table in derived.TABLES)}
"""Tables that the IAM fills itself."""

Pairs = dict[str, tuple[str, float, str]]
"""By IAM table: the legacy table, how certain, and why."""


def pair(legacy: Catalog, iam: Catalog) -> Pairs:
    """Each table at most once, the surest pairs first; then tables that only link two that are paired."""
    links = {name for name in iam if _is_link(iam[name])}
    ranked = sorted(
        (
            (*_score(legacy[source], iam[target]), source, target)
            for target in iam.keys() - links - _OURS
            for source in legacy
        ),
        key=lambda each: (-each[0], each[2], each[3]),
    )
    pairs: Pairs = {}
    for score, why, source, target in ranked:
        if score >= _ENOUGH and target not in pairs and source not in _taken(pairs):
            pairs[target] = source, score, why
    for target in sorted(links):
        fitting = [name for name in legacy.keys() - _taken(pairs) if _links_alike(legacy[name], iam[target], pairs)]
        fitting.sort(key=lambda name: (-names.tables(name, target), name))
        if fitting:
            others = f"; {', '.join(fitting[1:])} would, too" if len(fitting) > 1 else ""
            alone = not others or names.tables(fitting[0], target) > names.tables(fitting[1], target)
            pairs[target] = fitting[0], 0.95 if alone else 0.5, f"it links the same tables{others}"
    return pairs


def of_people(info: TableInfo) -> bool:
    """Whether its rows are people who sign in: two of a password, an address and a name to sign in by."""
    found = {names.concept(column) for column in info.columns}
    return len({"hashed_password", "email", "username"} & found) > 1


def _taken(pairs: Pairs) -> set[str]:
    return {source for source, _, _ in pairs.values()}


def _is_link(info: TableInfo) -> bool:
    """Whether every column of its key, of two at least, refers to another table."""
    referring = {column for key in info.foreign_keys for column in key.columns}
    return len(info.primary_key) > 1 and set(info.primary_key) <= referring


def _links_alike(source: TableInfo, target: TableInfo, pairs: Pairs) -> bool:
    """Whether it refers to what the target's key refers to: declared for one at least, by its columns' names for the others."""
    wanted = {
        (key.columns[0], pairs[key.parent][0] if key.parent in pairs else "")
        for key in target.foreign_keys
        if set(key.columns) <= set(target.primary_key)
    }
    declared = {parent for _, parent in wanted} & {key.parent for key in source.foreign_keys}
    named = {
        parent
        for name, parent in wanted
        if parent and any(names.columns(own, name, source.name) >= names.CONCEPT for own in source.columns)
    }
    return bool(declared) and all(parent in declared | named for _, parent in wanted)


def _score(source: TableInfo, target: TableInfo) -> tuple[float, str]:
    named = names.tables(source.name, target.name)
    people = of_people(source)
    if people and target.name != "users":
        return 0.0, ""
    # A tenant may be said by a constant.
    constant = {column for key in target.foreign_keys if key.parent == "tenants" for column in key.columns} - {
        *target.primary_key
    }
    needed = [
        name
        for name in target.columns
        if (name in target.primary_key or needs_value(target, name)) and name not in constant
    ]
    filled = [max(_names(source, name), default=0.0) for name in needed]
    used = [
        max((names.columns(own, name, source.name) for name in target.columns), default=0.0) for own in source.columns
    ]
    have, use = sum(filled) / max(len(filled), 1), sum(used) / max(len(used), 1)
    if not named and not people and (have < 0.55 or use < 0.5 or sum(1 for each in used if each) < _COLUMNS):
        return 0.0, ""
    said = "its name" if named == names.EXACT else "what its name means" if named else "its columns"
    return (
        0.5 * (named or _UNNAMED) + 0.3 * have + 0.2 * use,
        f"{said}; {sum(1 for each in filled if each)} of {len(needed)} columns that must be filled",
    )


def _names(source: TableInfo, name: str) -> Iterator[float]:
    for own in source.columns:
        yield names.columns(own, name, source.name)


def needs_value(info: TableInfo, column: str) -> bool:
    """Whether a row cannot do without one that somebody gives."""
    return info.columns[column].not_null and not info.columns[column].has_default
