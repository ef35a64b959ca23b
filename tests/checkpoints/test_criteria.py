"""The success criteria: measured from what is on record, never invented."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from flags.models import TenantHome
from iam.models import User
from legacy_compat.histograms import bucket
from migration_portal.checkpoints.criteria import Criterion, criteria
from migration_portal.monitoring.models import Baseline, Minute
from migration_portal.rollback.models import Complaint
from tests import builders
from tests.console.browsing import browser
from tests.world import World


def found() -> dict[str, Criterion]:
    return {each.name: each for each in criteria()}


def test_what_is_not_on_record_is_not_measurable(world: World) -> None:
    met = {name: each.met for name, each in found().items()}
    assert [name for name, value in met.items() if value is not None] == ["Feature parity"]
    assert "not measurable yet" in browser("viewer").get("/admin/checkpoints/criteria/").content.decode()


def test_the_technical_ones_follow_from_the_run_and_the_minutes(world: World) -> None:
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world))
    builders.migrated(world)
    Baseline.objects.create(calls=1000, failed=0, p95=100)
    Minute.objects.create(at=timezone.now(), home="iam", endpoint="x", ok=300, buckets={str(bucket(50)): 300})
    now = found()
    assert (now["Data integrity"].met, now["Performance"].met, now["Uptime"].met) == (True, True, True)
    Minute.objects.update(failed=1, buckets={str(bucket(150)): 300})
    now = found()
    assert (now["Performance"].met, now["Uptime"].met) == (False, False)


def test_retention_is_of_users_whose_tenant_moved_a_month_ago(world: World) -> None:
    builders.legacy_tables(world)
    tenant = builders.tenant(world)
    for _ in range(2):
        builders.user(world, tenant)
    builders.migrated(world)
    now = timezone.now()
    TenantHome.objects.create(tenant=tenant, legacy_tenant=tenant, home="iam", changed_at=now - timedelta(days=40))
    User.objects.update(last_login=now - timedelta(days=5))
    assert found()["User retention"].met is True
    User.objects.filter(pk=User.objects.values_list("pk", flat=True)[0]).update(last_login=now - timedelta(days=50))
    assert found()["User retention"].met is False


def test_support_tickets_are_compared_once_there_are_two_weeks(world: World) -> None:
    now = timezone.now()
    Complaint.objects.create(about="slow", by="t", at=now - timedelta(days=3))
    assert found()["Support tickets"].met is None
    Complaint.objects.create(about="slow", by="t", at=now - timedelta(days=20))
    assert found()["Support tickets"].met is True
    Complaint.objects.create(about="slow", by="t", at=now - timedelta(days=2))
    assert found()["Support tickets"].met is False


def test_rows_that_wait_in_quarantine_are_not_all_rows(world: World) -> None:
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world), id="not-a-uuid")
    builders.migrated(world)
    assert found()["Data integrity"].met is False
