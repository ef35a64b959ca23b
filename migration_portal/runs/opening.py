"""Opening both sides for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from flags import homes
from migration_portal import databases
from migration_portal.engine import catalog, ledger
from migration_portal.engine.sides import Sides
from migration_portal.runs.models import Run


@contextmanager
def sides_of(run: Run, purpose: str) -> Iterator[Sides]:
    """Sessions on legacy and IAM with the run's plan and remembered catalogs. Raises DatabaseUnreachable."""
    plan = run.plan
    with databases.both(f"{purpose} {run.pk}") as (legacy, iam):
        ledger.install(iam)
        remembered = catalog.recall(iam, run.key)
        if remembered is None:
            with legacy.transaction():
                source = catalog.read(legacy, plan.source_schema)
            catalog.remember(iam, run.key, source, catalog.read(iam, plan.target_schema))
            remembered = catalog.recall(iam, run.key)
            assert remembered is not None
        sides = Sides(legacy, iam, plan, *remembered, run=run.key, schema=run.schema, away=homes.in_iam())
        if not run.capture:
            yield sides
            return
        with databases.legacy_writable(f"queue {run.pk}") as queue:
            yield replace(sides, queue=queue)
