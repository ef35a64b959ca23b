"""The chunks of a copy as squares to look at: one each or, of many, so many side by side in one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

MOST = 240
"""Squares a table: more are no picture any more."""
Chunked = tuple[str, int, str, int]
"""A chunk's table, ordinal, state, and the rows of it in quarantine."""


@dataclass(frozen=True)
class Square:
    """Chunks from `first` to `last` (ordinals)."""

    first: int
    last: int
    states: tuple[str, ...]
    quarantined: int

    @property
    def state(self) -> str:
        """What matters most of them: failed, claimed, part (some are done), done or pending."""
        for state in ("failed", "claimed"):
            if state in self.states:
                return state
        found = set(self.states)
        return found.pop() if len(found) == 1 else "part"

    def __str__(self) -> str:
        of = f"chunk {self.first}" if len(self.states) == 1 else f"chunks {self.first} to {self.last}"
        counts = [f"{self.states.count(state):,} {state}" for state in dict.fromkeys(self.states)]
        said = self.states[0] if len(self.states) == 1 else ", ".join(counts)
        kept = f", {self.quarantined:,} rows quarantined" if self.quarantined else ""
        return f"{of}: {said}{kept}"


@dataclass(frozen=True)
class TableMap:
    table: str
    chunks: int
    each: int
    """Chunks a square."""
    squares: Sequence[Square]

    @property
    def done(self) -> int:
        return sum(square.states.count("done") for square in self.squares)


def chunk_map(chunks: Iterable[Chunked]) -> list[TableMap]:
    """The map of each table; `chunks` in the order of their steps and ordinals."""
    return [_of_table(table, list(some)) for table, some in groupby(chunks, key=lambda chunk: chunk[0])]


def _of_table(table: str, chunks: Sequence[Chunked]) -> TableMap:
    each = -(-len(chunks) // MOST)
    parts = [chunks[at : at + each] for at in range(0, len(chunks), each)]
    squares = [
        Square(part[0][1], part[-1][1], tuple(chunk[2] for chunk in part), sum(chunk[3] for chunk in part))
        for part in parts
    ]
    return TableMap(table, len(chunks), each, squares)
