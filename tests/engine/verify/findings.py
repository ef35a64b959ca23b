"""A verified run, and what it says."""

from migration_portal.runs.models import Finding, Run
from migration_portal.runs.verify import verify
from tests import builders
from tests.world import World


def found_after(world: World, run: Run) -> list[tuple[str, str, str]]:
    verify(run, by="tester")
    builders.finish(run)
    findings = Finding.objects.filter(run=run.key, verification=run.verification)
    return sorted((f.table_name, f.kind, f.field) for f in findings)
