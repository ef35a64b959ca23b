"""What a transaction of catch-up works on: its keys, its staging tables, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import source
from migration_portal.engine.queries import queries
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile, directions
from migration_portal.plan.checks import words
from migration_portal.plan.model import Rule, Table

if TYPE_CHECKING:
    from migration_portal.engine.catchup import Flow

Key = tuple[str, ...]
Collision = tuple[str, str, str]
"""Target table, reason, detail."""


@dataclass
class Merged:
    """What a transaction did; `collided` maps a source table's keys to why they could not be written."""

    written: int = 0
    removed: int = 0
    rejected: int = 0
    strays: int = 0
    collided: dict[str, dict[Key, Collision]] = field(default_factory=dict)


@dataclass
class Work:
    """A transaction at work: the flow, the keys by source table, keys whose target rows must stay, and the outcome."""

    flow: Flow
    keys: dict[str, list[Key]]
    whoever: bool
    widen: bool
    guarded: bool = True
    newest: Mapping[tuple[str, Key], int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    """Target tables for which the source had a row for every key."""
    homes: frozenset[str] = frozenset()
    spared: dict[str, set[Key]] = field(default_factory=dict)
    merged: Merged = field(default_factory=Merged)

    @property
    def tables(self) -> list[Table]:
        return [table for table in self.flow.sides.plan.tables if table.source in self.keys]

    def collide(self, table: Table, keys: Iterable[Sequence[str]], reason: str, detail: str = "") -> None:
        for key in keys:
            # The first reason is the cause; what a row's children meet follows from it.
            self.merged.collided.setdefault(table.source, {}).setdefault(tuple(key), (table.target, reason, detail))
            self.spared.setdefault(table.source, set()).add(tuple(key))

    def spare(self, table: Table) -> Composable:
        return source.array_of_keys(self.spared.get(table.source, set()))


def query(name: str, **parts: Composable) -> Any:
    return queries("catchup")[name].format(**parts)


def names_of(table: Table) -> tuple[Identifier, Identifier]:
    return Identifier(f"portal_stage_{table.target}"[:63]), Identifier(f"portal_keys_{table.target}"[:63])


def owned_by(work: Work, table: Table) -> Composable:
    names = [c.name for c in directions.owner(table, work.flow.sides.source, work.flow.sides.target)]
    return compile.same(names, names, "t", "k")


def key_of(work: Work, table: Table) -> tuple[str, ...]:
    return work.flow.sides.info(table).primary_key


def listed(names: Iterable[str]) -> Composable:
    return SQL(", ").join(map(Identifier, names))


def pseudo(sides: Sides, table: Table, wanted: Sequence[Key]) -> Any:
    """SELECT what these source keys are in the target (the owner's columns), and the source key last; the rows may be gone."""
    info, types = sides.info(table), sides.source[table.source].columns
    owner = directions.owner(table, sides.source, sides.target)
    count = range(len(table.key))
    return query(
        "pseudo",
        owner=SQL(", ").join(
            SQL("({})::{}").format(compile.raw(c.sql), compile.raw(info.columns[c.name].type)) for c in owner
        ),
        values=SQL(", ").join(SQL("{}::text[]").format(Literal([key[n] for key in wanted])) for n in count),
        names=SQL(", ").join(Identifier(f"k{n}") for n in count),
        key=SQL("ARRAY[{}]").format(SQL(", ").join(SQL("keys.{}").format(Identifier(f"k{n}")) for n in count)),
        typed=SQL(", ").join(
            SQL("keys.{}::{} AS {}").format(Identifier(f"k{n}"), compile.raw(types[name].type), Identifier(name))
            for n, name in enumerate(table.key)
        ),
        alias=Identifier(table.source),
        rejected=_any(rule for rule in table.reject if set(words(rule.sql)) & set(types) <= set(table.key)),
    )


def _any(rules: Iterable[Rule]) -> Composable:
    parts = [SQL("({}) IS TRUE").format(compile.raw(rule.sql)) for rule in rules]
    return SQL("({})").format(SQL(" OR ").join(parts)) if parts else SQL("false")
