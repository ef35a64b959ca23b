"""What a transaction of catch-up works on: its keys, its staging tables, and what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import source
from migration_portal.engine.catchup.flow import Collision, Departure, Entry, Flow
from migration_portal.engine.queries import queries
from migration_portal.engine.source import Key
from migration_portal.plan import belonging, compile, directions
from migration_portal.plan.model import Table


class Widen(Exception):
    """The batch needs these source keys, too."""

    def __init__(self, keys: dict[str, list[Key]]) -> None:
        self.keys = keys


class Stays(Exception):
    """Rows that let go of a unique value, or of their table, got nothing instead: once more, and they keep what they have."""

    def __init__(self, staying: Staying) -> None:
        self.staying = staying


@dataclass
class Staying:
    """Rows that let go of nothing: `values` by target table and key, `places` by source table and key, with what keeps them.

    Of `rows`, by target table and key, nobody is to think that they go.
    """

    values: dict[str, set[Key]] = field(default_factory=dict)
    rows: dict[str, set[Key]] = field(default_factory=dict)
    places: dict[str, dict[Key, Collision]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values or self.rows or self.places)

    def add(self, more: Staying) -> None:
        for table, keys in more.values.items():
            self.values.setdefault(table, set()).update(keys)
        for table, keys in more.rows.items():
            self.rows.setdefault(table, set()).update(keys)
        for table, reasons in more.places.items():
            self.places.setdefault(table, {}).update(reasons)


@dataclass
class Merged:
    """What a transaction did; `collided` maps a source table's keys to why they could not be written."""

    written: int = 0
    removed: int = 0
    rejected: int = 0
    strays: int = 0
    collided: dict[str, dict[Key, Collision]] = field(default_factory=dict)

    def each_collided(self) -> Iterator[tuple[tuple[str, Key], Collision]]:
        for name, keys in self.collided.items():
            for key, collision in keys.items():
                yield (name, key), collision


@dataclass
class Work:
    """A transaction at work: the flow, the keys by source table, keys whose target rows must stay, and the outcome."""

    flow: Flow
    keys: dict[str, list[Key]]
    any_home: bool
    widen: bool
    guarded: bool = True
    entries: Mapping[tuple[str, Key], Sequence[Entry]] = field(default_factory=dict)
    left: Mapping[str, Departure] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    """Target tables for which the source had a row for every key."""
    only_gone: bool = False
    """Nothing is staged: rows that the source has are left alone."""
    homes: frozenset[str] = frozenset()
    protected: dict[str, set[Key]] = field(default_factory=dict)
    merged: Merged = field(default_factory=Merged)
    staying: Staying = field(default_factory=Staying)
    counted_on: set[str] = field(default_factory=set)
    """Target tables of which others go because rows of theirs were to go, too."""
    parked: dict[str, set[Key]] = field(default_factory=dict)
    """By target table, the rows that let go of a unique value."""
    moving: dict[str, set[Key]] = field(default_factory=dict)
    """By source table, the keys of rows that left one of its tables for another."""

    @property
    def tables(self) -> list[Table]:
        return [table for table in self.flow.transfer.plan.tables if table.source in self.keys]

    @property
    def homes_differ(self) -> bool:
        """Whether some tenant may not be the source's to write."""
        return not self.any_home and bool(self.homes or not self.flow.by_default)

    def first(self, table: Table) -> bool:
        """Whether this table plan tells the strays of its source table: once a source row, by the first, or by the one it is of."""
        return bool(table.where) or table is self.flow.transfer.plan.siblings(table.source)[0]

    def collide(self, table: Table, keys: Iterable[Sequence[str]], reason: str, detail: str = "") -> None:
        for key in keys:
            # The first reason is the cause; what a row's children meet follows from it.
            self.merged.collided.setdefault(table.source, {}).setdefault(tuple(key), (table.target, reason, detail))
            self.protected.setdefault(table.source, set()).add(tuple(key))

    def protect(self, table: Table) -> Composable:
        return source.array_of_keys(self.protected.get(table.source, set()))

    def stray(self, name: str, key: Sequence[str], tenant: str | None, what: str) -> None:
        """A row written or deleted on the side that does not own its tenant: leave the target's row, and list it."""
        self.protected.setdefault(name, set()).add(tuple(key))
        left = self.left.get(tenant or "", Departure())
        # A key may have entries under the tenant's name of before and of after: one from after is enough.
        if all(left.follows(entry) for entry in self.entries.get((name, tuple(key)), ())):
            return
        self.merged.strays += 1
        flow = self.flow
        about = {"run": flow.transfer.run, "direction": flow.direction, "table": name, "key": list(key)}
        flow.ledger.execute(queries("catchup")["stray"], about | {"tenant": tenant, "what": what})


def query(name: str, **parts: Composable) -> Any:
    return queries("catchup")[name].format(**parts)


_LONGEST = 50
"""Bytes of a table's name that fit behind ours into the 63 of an identifier."""


def names_of(table: Table) -> tuple[Identifier, Identifier]:
    """The temporary tables of a target table: its stage, and the keys of the batch."""
    name = table.target
    if len(name.encode()) > _LONGEST:  # the server would cut it, perhaps to what another's was cut to
        name = hashlib.sha256(name.encode()).hexdigest()[:_LONGEST]
    return Identifier(f"portal_stage_{name}"), Identifier(f"portal_keys_{name}")


def owned_by(work: Work, table: Table) -> Composable:
    transfer = work.flow.transfer
    names = [c.name for c in directions.owner(table, transfer.source_catalog, transfer.target_catalog)]
    loose = [name for name in names if transfer.info(table).columns[name].loose]
    written = [SQL('t.{name}::text COLLATE "C" = k.{name}::text').format(name=Identifier(name)) for name in loose]
    return SQL(" AND ").join([compile.same(names, names, "t", "k"), *written])


def key_of(work: Work, table: Table) -> tuple[str, ...]:
    return work.flow.transfer.info(table).primary_key


def listed(names: Iterable[str]) -> Composable:
    return SQL(", ").join(map(Identifier, names))


def at_home_in_target(work: Work, table: Table) -> Composable:
    """True for the target rows `t` whose tenant the source owns."""
    if work.any_home:
        return SQL("true")
    transfer = work.flow.transfer
    schema = Identifier(transfer.schema)
    tenant = belonging.target_tenant(transfer.plan, table, transfer.target_catalog, schema, "t")
    return belonging.at_home(tenant, work.homes, by_default=work.flow.by_default)
