"""The first chunk of every run: remember both schemas, then set constraints aside where tables are empty."""

from __future__ import annotations

from migration_portal.engine import constraints, ledger
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


def sweep(sides: Sides, chunk: Chunk) -> Outcome:
    """The last chunk of a dry run: drop its scratch tables."""
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        if sides.schema != sides.plan.target_schema:
            constraints.drop_scratch(sides.iam, sides.schema)
        ledger.done(sides.iam, chunk, Outcome())
    return Outcome()
