"""The health report, once a day; and slow statements."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from migration_portal.monitoring import report
from migration_portal.monitoring.models import Alert, Delivery, Heartbeat, Minute
from migration_portal.runs.start import start
from tests.console.browsing import browser
from tests.world import World


def test_it_is_sent_once_a_day_to_who_is_told_of_alerts(world: World, settings: Any) -> None:
    settings.ALERT_PLACES, settings.HEALTH_REPORT_HOUR = ["mailto:ops@example.org"], 0
    report.tick()
    assert not Alert.objects.exists()  # nothing has begun
    world.sample(users=60, tenants=5)
    start(by="tester")
    report.tick()
    report.tick()
    sent = Delivery.objects.get()
    assert "Health report of" in sent.alert.what and sent.place == "mailto:ops@example.org"
    assert not Alert.objects.open().exists() and not Alert.objects.loud().exists()
    settings.HEALTH_REPORT_HOUR = -1
    Alert.objects.all().delete()
    report.tick()
    assert not Alert.objects.exists()


def test_it_says_how_everything_was(rolled_back: World) -> None:
    Heartbeat.objects.create(name="queue celery", at=timezone.now() - timedelta(hours=1))
    Heartbeat.objects.create(name="queue follow", at=timezone.now())
    Minute.objects.create(
        at=timezone.now() - timedelta(hours=1), home="iam", endpoint="GET auth/me", ok=9, failed=1, buckets={"100": 10}
    )
    said, lines = report.report()
    assert said.endswith("Not well: 1 parts, 0 alerts are open.")
    assert (
        "IAM answered 10 requests in a day, 1 failed; p50" in lines and "Last validated backup of Legacy: none" in lines
    )


def test_slow_statements_say_what_to_do_where_nobody_counts_them(world: World) -> None:
    page = browser("viewer").get("/admin/health/statements/").content.decode()
    assert page.count("create the extension in this database") == 3


def test_slow_statements_of_a_database_that_is_away_say_so(world: World, settings: Any) -> None:
    settings.LEGACY_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    assert "does not answer" in browser("viewer").get("/admin/health/statements/").content.decode()
