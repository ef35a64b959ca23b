"""Every kind of work, in one table: how its step is cut into chunks, what performs one, and how it counts in the progress.

A step's kind is the kind of its chunks. A new kind is one entry here, one function, and its place in runs/steps.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from migration_portal.engine import capabilities, capture, ledger
from migration_portal.engine.catchup import batches
from migration_portal.engine.copy import boundaries, constraints, copying, scratch, undo
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import checks, tables
from migration_portal.plan.model import Table


@dataclass(frozen=True)
class Step:
    """One stage of a run: `name` in the ledger; `order` decides which of several ready steps is worked on first."""

    name: str
    kind: str
    table: str
    order: int
    requires: frozenset[str]
    verification: int = 0
    """Which verification of the run it belongs to; 0 for none."""


@dataclass(frozen=True)
class Kind:
    """`cut` makes a step's chunks, `perform` does one and marks it done, in one target transaction."""

    cut: Callable[[Transfer, Step], Iterable[NewChunk]]
    perform: Callable[[Transfer, Chunk], Outcome]
    weight: float = 0.0
    """Its share of a table's whole work, from measured times; those of a run make 1."""
    doing: str = ""
    done: str = ""
    loads: bool = False
    """Catch-up may not run beside it: it writes rows as they were when it read them."""


def _once(transfer: Transfer, step: Step) -> list[NewChunk]:
    return [NewChunk(step.kind, step.table, spec={"verification": step.verification})]


def _of_table(cut: Callable[[Transfer, Table], list[NewChunk]]) -> Callable[[Transfer, Step], list[NewChunk]]:
    return lambda transfer, step: cut(transfer, transfer.table(step.table))


def _constraint_chunks(
    cut: Callable[[Transfer, Table, str], list[NewChunk]],
) -> Callable[[Transfer, Step], list[NewChunk]]:
    return lambda transfer, step: cut(transfer, transfer.table(step.table), step.kind)


def _verify_pieces(transfer: Transfer, step: Step) -> list[NewChunk]:
    return tables.pieces(transfer, transfer.table(step.table), step.verification)


def _nothing(transfer: Transfer, chunk: Chunk) -> Outcome:
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        ledger.done(transfer.target, chunk, Outcome())
    return Outcome()


_indexes = _constraint_chunks(constraints.index_chunks)
_constraints = _constraint_chunks(constraints.constraint_chunks)

KINDS: dict[str, Kind] = {
    "capture": Kind(_once, capture.start_capture, loads=True),
    "prepare": Kind(_once, constraints.prepare, loads=True),
    "copy": Kind(_of_table(boundaries.copy_chunks), copying.copy_chunk, 0.6, "copying", "copied", loads=True),
    "catch_up": Kind(_once, batches.catch_up, loads=True),
    "index": Kind(_indexes, constraints.build_index, 0.15, "building", "building", loads=True),
    "constraint": Kind(_constraints, constraints.add_constraint, 0.1, "building", "built", loads=True),
    "grant": Kind(_of_table(capabilities.pieces), capabilities.grant_piece, loads=True),
    "analyze": Kind(_once, constraints.analyze),
    "verify": Kind(_verify_pieces, tables.sum_piece, 0.14, "verifying", "verifying"),
    "compare": Kind(_once, tables.compare, 0.01, "comparing", "verified"),
    "check": Kind(_once, checks.check),
    "sweep": Kind(_once, scratch.sweep),
    "undo": Kind(_of_table(undo.pieces), undo.undo_piece, doing="undoing", done="undoing"),
    "conclude": Kind(_once, undo.conclude, doing="undoing", done="undone"),
    "put_back": Kind(_once, undo.put_back),
    "rebuild_index": Kind(_indexes, constraints.rebuild_index),
    "restore_constraint": Kind(_constraints, constraints.restore_constraint),
    "nothing": Kind(_once, _nothing),
}
"""`nothing` is the one chunk of a step that has nothing to do: a step without chunks would never be finished."""

LOADING = frozenset(name for name, kind in KINDS.items() if kind.loads)


def chunks_of(transfer: Transfer, step: Step) -> list[NewChunk]:
    """The step's chunks: at least one."""
    return list(KINDS[step.kind].cut(transfer, step)) or [NewChunk("nothing", step.table)]


def perform(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Do the chunk's work and mark it done, in one target transaction. Raises Refusal or psycopg.Error; then nothing was done."""
    return KINDS[chunk.kind].perform(transfer, chunk)
