"""Rows kept back: each kind of dirt at its count, and no secret among them."""

import json
import uuid

from migration_portal.audit.models import Event
from migration_portal.engine import quarantine
from migration_portal.engine.quarantine import Rejected
from migration_portal.runs.connections import open_transfer
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


def test_a_row_is_decided_once_and_opens_again_for_another_reason(world: World) -> None:
    builders.legacy_tables(world)
    key = builders.user(world, str(uuid.uuid4()))
    run = builders.migrated(world)
    row = QuarantinedRow.objects.get(table_name="users")
    with open_transfer(run, "test") as transfer:
        assert quarantine.close(transfer.target, [row.pk], state="discarded", by="tester")
        assert not quarantine.close(transfer.target, [row.pk], state="copied", by="tester")
        for reason, state in (("missing_tenants", "discarded"), ("duplicate_key", "open")):
            quarantine.add(transfer, transfer.table("users"), [Rejected([key], reason, None)])
            assert QuarantinedRow.objects.get(table_name="users").state == state
