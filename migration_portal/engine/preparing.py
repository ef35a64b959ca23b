"""The chunks around the copy: capture, setting constraints aside, and catching up before they return."""

from __future__ import annotations

from migration_portal.engine import capture, catchup, constraints, ledger
from migration_portal.engine.ledger import Chunk, Outcome
from migration_portal.engine.sides import Sides


def prepare(sides: Sides, chunk: Chunk) -> Outcome:
    """Decide per table between load and upsert, and mark the chunk done. A dry run gets its scratch tables first."""
    dry = sides.schema != sides.plan.target_schema
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        if dry:
            constraints.create_scratch(sides)
        for table in sides.plan.tables:
            constraints.set_aside(sides, table, sides.plan.target_schema if dry else None)
        ledger.done(sides.iam, chunk, Outcome())
    return Outcome()


def start_capture(sides: Sides, chunk: Chunk) -> Outcome:
    """Watch the source tables before anything is read from them, and mark the chunk done."""
    assert sides.queue is not None
    capture.install(sides.queue, sides.plan, sides.source)
    return _done(sides, chunk, Outcome())


def catch_up(sides: Sides, chunk: Chunk) -> Outcome:
    """Apply what changed while the tables were copied, and mark the chunk done. What comes later is the loop's."""
    assert sides.queue is not None
    done = catchup.drain(catchup.Flow("forward", sides, sides.queue, sides.iam, settled=False))
    return _done(sides, chunk, Outcome(read=done.entries, written=done.written - done.removed))


def _done(sides: Sides, chunk: Chunk, outcome: Outcome) -> Outcome:
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        ledger.done(sides.iam, chunk, outcome)
    return outcome


def sweep(sides: Sides, chunk: Chunk) -> Outcome:
    """The last chunk of a dry run: drop its scratch tables."""
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        if sides.schema != sides.plan.target_schema:
            constraints.drop_scratch(sides.iam, sides.schema)
        ledger.done(sides.iam, chunk, Outcome())
    return Outcome()
