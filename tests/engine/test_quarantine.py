"""Rows kept back: each kind of dirt at its count, and no secret among them."""

import json

from migration_portal.audit.models import Event
from migration_portal.runs.models import QuarantinedRow
from migration_portal.runs.report import report
from tests import builders
from tests.world import World


def test_every_kind_of_dirt_is_quarantined_at_the_expected_count(world: World) -> None:
    dirt = world.sample(users=1200, tenants=12, rate=0.02)
    result = report(builders.migrated(world))
    assert {name: table.reasons for name, table in result.tables.items()} == dirt.quarantined()
    assert {name: table.source for name, table in result.tables.items()} == dirt.rows()
    assert result.passed


def test_no_secret_reaches_quarantine_findings_or_audit(world: World) -> None:
    world.sample(rate=0.05)
    builders.migrated(world)
    with world.iam() as iam:
        kept = json.dumps(
            [row[0] for row in iam.execute("SELECT row_to_json(q)::text FROM portal_ledger.quarantine q")]
        )
    assert "$2b$" not in kept
    assert '"hashed_password": "(secret)"' in json.dumps(QuarantinedRow.objects.filter(table_name="users").first().data)
    assert "$2b$" not in json.dumps(list(Event.objects.values_list("data", flat=True)))
