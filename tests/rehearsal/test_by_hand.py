"""What somebody added to the IAM by hand is on the stage too: the rehearsal keeps back what the run would, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from migration_portal.rehearsal import rehearse
from migration_portal.runs.models import QuarantinedRow
from tests.backups.builders import backed_up, checked
from tests.cutover.moves import iam
from tests.journeys.test_examples import begun
from tests.world import World


def test_a_rehearsal_looks_up_what_the_iam_was_given_by_hand(world: World, settings: Any, backups: Path) -> None:
    run = begun(world, settings, "05_roles_by_name")
    assert QuarantinedRow.objects.filter(run=run.key).count() == 1  # nobody knew what an auditor is
    iam(
        world,
        "INSERT INTO roles (name, tenant_id) VALUES ('auditor', NULL), ('chief', (SELECT min(id::text)::uuid FROM tenants))",
    )
    checked(backed_up("legacy"), 3)
    made = rehearse.request(by="tester", reason="a role was added", tenants=1)
    rehearse.perform(made)
    made.refresh_from_db()
    assert (made.state, made.error) == ("done", "")
    assert made.measured["passed"]
    assert {table["quarantined"] for table in made.measured["tables"].values()} == {0}
