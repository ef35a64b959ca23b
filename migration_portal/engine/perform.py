"""What each kind of chunk does."""

from __future__ import annotations

from collections.abc import Callable

from migration_portal.engine import checking, constraints, copying, ledger, preparing, undo, verification
from migration_portal.engine.ledger import Chunk, Outcome
from migration_portal.engine.sides import Sides


def _nothing(sides: Sides, chunk: Chunk) -> Outcome:
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        ledger.done(sides.iam, chunk, Outcome())
    return Outcome()


KINDS: dict[str, Callable[[Sides, Chunk], Outcome]] = {
    "capture": preparing.start_capture,
    "prepare": preparing.prepare,
    "copy": copying.copy_chunk,
    "catch_up": preparing.catch_up,
    "build": constraints.build,
    "adopt": constraints.adopt,
    "analyze": constraints.analyze,
    "verify": verification.sum_piece,
    "compare": verification.compare,
    "check": checking.check,
    "sweep": preparing.sweep,
    "undo": undo.undo_piece,
    "conclude": undo.conclude,
    "nothing": _nothing,
}


def perform(sides: Sides, chunk: Chunk) -> Outcome:
    """Do the chunk's work and mark it done, in one target transaction. Raises Refusal or psycopg.Error; then nothing was done."""
    return KINDS[chunk.kind](sides, chunk)
