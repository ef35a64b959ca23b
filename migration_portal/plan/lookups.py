"""Rows that the IAM has before a run begins, and legacy knows by another name: permissions by their words, say. Pure.

What the IAM has is read once, when a run begins (engine/lookups.py), and becomes part of the expressions: legacy's server, which
maps the rows and runs the triggers, cannot look into the IAM.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from migration_portal.plan.model import Column, Lookup, Plan, Rule, Table

Found = Mapping[str, Mapping[str, str]]
"""By the name of a look-up: the key of the IAM's row by what its column says, both as text."""


def of_plan(plan: Plan) -> dict[str, Lookup]:
    """The look-ups of a plan, each once, by name."""
    return {lookup.name: lookup for table in plan.tables for lookup in of_table(table)}


def of_table(table: Table) -> Iterator[Lookup]:
    columns = (*table.columns, *table.reverse, *(column for read in table.reads for column in read.reverse))
    return (column.lookup for column in columns if column.lookup)


def there(lookup: Lookup, pairs: Mapping[str, str]) -> str:
    """The key of the IAM's row, as SQL; NULL where it has none."""
    return _chosen(lookup, _by_word(lookup, pairs))


def back(lookup: Lookup, pairs: Mapping[str, str], *, of_key: bool = False) -> str:
    """Legacy's word for the IAM's row of a key, as SQL.

    Where legacy has none it fails, or the row would come back with nothing said in that column; part of legacy's key is NULL
    then, which no row can come back under, and one that is gone is found without.
    """
    words: dict[str, str] = {}
    for word, key in _by_word(lookup, pairs).items():
        words.setdefault(key, word)
    if of_key:
        return _chosen(lookup, words)
    none = f"(('Legacy has no word for ' || ({lookup.over})::text)::integer)::text"
    return f"(CASE WHEN ({lookup.over}) IS NOT NULL THEN coalesce({_chosen(lookup, words)}, {none}) END)"


def _by_word(lookup: Lookup, pairs: Mapping[str, str]) -> dict[str, str]:
    """The keys by legacy's words: those that the plan lists first, in its order, then the IAM's own that mean nothing else."""
    listed = {ours: pairs[theirs] for ours, theirs in lookup.words if theirs in pairs}
    others = {word: key for word, key in pairs.items() if word not in dict(lookup.words)}
    return listed | others


def without_word(lookup: Lookup, pairs: Mapping[str, str]) -> list[str]:
    """What the IAM calls rows that legacy has no word for, because it calls another row so."""
    meant = set(_by_word(lookup, pairs).values())
    return [word for word, key in pairs.items() if key not in meant]


def unfound(columns: Iterable[Column]) -> Iterator[Rule]:
    """The rows for which the IAM has none."""
    for column in columns:
        if (lookup := column.lookup) is not None:
            advice = (
                f"No row of {lookup.of} in the IAM says so in {lookup.by}: add it there, let the run look again"
                " (portal revise_plan), and retry them."
            )
            yield Rule(f"{column.name}_not_found", _unfound(lookup, {}), advice, lookup=lookup)


def resolved(plan: Plan, found: Found) -> Plan:
    """The plan whose look-ups lead to these rows."""
    if not of_plan(plan):
        return plan
    return replace(plan, tables=tuple(_resolved(table, found) for table in plan.tables))


def _resolved(table: Table, found: Found) -> Table:
    def pairs(lookup: Lookup) -> Mapping[str, str]:
        return found.get(lookup.name, {})

    def returned(columns: tuple[Column, ...], key: tuple[str, ...]) -> tuple[Column, ...]:
        return tuple(
            replace(each, sql=back(each.lookup, pairs(each.lookup), of_key=each.name in key)) if each.lookup else each
            for each in columns
        )

    return replace(
        table,
        columns=tuple(
            replace(each, sql=there(each.lookup, pairs(each.lookup))) if each.lookup else each for each in table.columns
        ),
        reject=tuple(
            replace(rule, sql=_unfound(rule.lookup, pairs(rule.lookup))) if rule.lookup else rule
            for rule in table.reject
        ),
        reverse=returned(table.reverse, table.key),
        reads=tuple(replace(read, reverse=returned(read.reverse, read.link)) for read in table.reads),
    )


def _unfound(lookup: Lookup, pairs: Mapping[str, str]) -> str:
    return f"({lookup.over}) IS NOT NULL AND {there(lookup, pairs)} IS NULL"


def _chosen(lookup: Lookup, pairs: Mapping[str, str]) -> str:
    """Folded into a constant when the statement is planned, and searched by halving: a row costs no more than a cast."""
    written = json.dumps(pairs, ensure_ascii=False).replace("'", "''")
    return f"('{written}'::jsonb ->> ({lookup.over})::text)"
