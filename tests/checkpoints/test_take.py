"""The daily checkpoint: looks everywhere, keeps what it saw, compares it, and never guesses."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import bcrypt
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from legacy_compat.histograms import bucket
from migration_portal.audit.models import Event
from migration_portal.backups.models import Backup
from migration_portal.checkpoints import take as taking
from migration_portal.checkpoints.models import Checkpoint
from migration_portal.monitoring.models import Alert, Baseline, Minute
from tests import builders
from tests.console.browsing import browser
from tests.world import World


def result(made: Checkpoint, name: str) -> dict[str, Any]:
    return next(each for each in made.results if each["name"] == name)


def test_before_anything_has_begun_nothing_is_guessed(world: World) -> None:
    made = taking.take(by="tester")
    for name in (
        "Every row is accounted for",
        "As fast as before",
        "A user can sign in and work",
        "Tenants can be reversed",
    ):
        assert result(made, name)["passed"] is None
    assert result(made, "The audit log is as it was written")["passed"] is True
    assert result(made, "Legacy can be restored")["passed"] is False


def test_a_migrated_world_is_accounted_for_until_it_is_not(world: World) -> None:
    world.sample(users=200, tenants=5, rate=0)
    run = builders.migrated(world)
    assert result(taking.take(by="tester"), "Every row is accounted for")["passed"] is True
    with world.iam() as iam:
        iam.execute(
            "INSERT INTO portal_ledger.findings (run, verification, table_name, kind, key)"
            " VALUES (%s, %s, 'users', 'differs', %s)", [run.key, run.verification, ["a"]],
        )  # fmt: skip
    before, made = Checkpoint.objects.first(), taking.take(by="tester")
    assert result(made, "Every row is accounted for")["passed"] is False
    assert made.changes_since(before) == ["Every row is accounted for fails (before: passes)"]


def test_what_fails_is_an_alert_until_it_passes(world: World) -> None:
    taking.take(by="tester")
    assert Alert.objects.open().filter(key="checkpoint:Legacy can be restored").exists()
    at = timezone.now().isoformat()
    Backup.objects.create(side="legacy", place="a", level=3, finished_at=timezone.now(), manifest={"snapshot_at": at})
    taking.take(by="tester")
    assert not Alert.objects.open().filter(key="checkpoint:Legacy can be restored").exists()
    assert Event.objects.filter(verb="take_checkpoint").count() == 2


def test_slower_than_the_baseline_is_told(world: World) -> None:
    Minute.objects.create(at=timezone.now(), home="iam", endpoint="x", ok=300, buckets={str(bucket(400)): 300})
    assert result(taking.take(by="tester"), "As fast as before")["passed"] is None
    Baseline.objects.create(calls=5000, failed=0, p95=390)
    assert result(taking.take(by="tester"), "As fast as before")["passed"] is True
    Baseline.objects.create(calls=5000, failed=0, p95=50)
    assert result(taking.take(by="tester"), "As fast as before")["passed"] is False


def test_a_user_of_ours_walks_through_both_doors(world: World, settings: Any) -> None:
    builders.legacy_tables(world)
    tenant = builders.tenant(world)
    hashed = bcrypt.hashpw(b"a long secret", bcrypt.gensalt(4)).decode()
    builders.user(world, tenant, username="probe", hashed_password=hashed)
    builders.migrated(world)
    settings.ISSUER = world.site(LEGACY_SERVED_BY="iam", AUTH_CALLS_A_MINUTE="0", LOG_LEVEL="ERROR")
    settings.CHECKPOINT_USER = f"probe:a long secret:{tenant}"
    made = taking.take(by="tester")
    assert result(made, "A user can sign in and work through the legacy endpoints")["passed"] is True
    assert result(made, "A user can sign in and work through the new API")["passed"] is True, made.results
    settings.CHECKPOINT_USER = f"probe:wrong:{tenant}"
    made = taking.take(by="tester")
    assert "answers 401" in result(made, "A user can sign in and work through the legacy endpoints")["what"]


def test_a_group_that_cannot_be_looked_at_fails_and_keeps_no_other_from_it(world: World, settings: Any) -> None:
    world.sample(users=200, tenants=5, rate=0)
    builders.migrated(world)
    settings.IAM_DATABASE_URL = "postgres://portal@127.0.0.1:1/nothing"
    made = taking.take(by="tester")
    assert result(made, "Data integrity can be looked at")["passed"] is False
    assert result(made, "The deployment checks are clean")["passed"] is not None


def test_the_daily_one_is_taken_once_a_day_from_the_first_run_on(world: World) -> None:
    taking.tick()
    assert not Checkpoint.objects.exists()
    builders.legacy_tables(world)
    builders.migrated(world)
    taking.tick()
    taking.tick()
    assert Checkpoint.objects.get().by == "schedule"
    Checkpoint.objects.update(at=timezone.now() - timedelta(days=1, minutes=1))
    taking.tick()
    assert Checkpoint.objects.count() == 2


def test_the_pages_show_the_days_and_what_failed(world: World) -> None:
    client = browser("viewer")
    assert "No checkpoint yet" in client.get("/admin/checkpoints/").content.decode()
    made = taking.take(by="tester")
    assert f"/admin/checkpoints/{made.pk}/" in client.get("/admin/checkpoints/").content.decode()
    page = client.get(f"/admin/checkpoints/{made.pk}/").content.decode()
    assert "not measurable yet" in page and "Legacy can be restored" in page
    assert client.post("/admin/checkpoints/take/").status_code == 403
    assert browser("operator").post("/admin/checkpoints/take/").status_code == 302


@pytest.mark.parametrize("verb", ["health", "checkpoint"])
def test_from_a_terminal_it_exits_well_only_when_all_is_well(world: World, verb: str) -> None:
    out = io.StringIO()
    if verb == "health":
        call_command("portal", verb, "--json", stdout=out)
    else:
        with pytest.raises(CommandError, match="Failed: "):
            call_command("portal", verb, "--json", stdout=out)
    assert json.loads(out.getvalue())
