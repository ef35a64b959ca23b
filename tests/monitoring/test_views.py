"""The health page, and what Prometheus reads."""

from __future__ import annotations

import time
from typing import Any

from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from flags.models import TenantHome
from legacy_compat import histograms
from migration_portal.monitoring import alerts, roll_up
from migration_portal.monitoring.alerts import Condition
from migration_portal.monitoring.baseline import take_baseline
from migration_portal.monitoring.models import Alert, Baseline, Minute
from tests.console.browsing import browser
from tests.world import World


def called(home: str = "iam", times: int = 1) -> None:
    for _ in range(times):
        histograms.note(histograms.Call(time.time(), home, "GET auth/me", 200, 20.0))
    histograms.background.join()
    roll_up.roll_up()


def test_the_page_shows_latency_by_endpoint_and_home(world: World) -> None:
    page = browser("viewer").get("/admin/health/").content.decode()
    assert "No requests in this time" in page
    called("iam")
    called("legacy")
    page = browser("support").get("/admin/health/live/?span=6h").content.decode()
    assert page.count("GET auth/me") == 2 and "All endpoints" in page and '"unit": "ms"' in page


def test_an_operator_acknowledges_and_silences_and_a_viewer_does_not(world: World) -> None:
    alerts.tell([Condition("x", "critical", "It is broken.")], of="x")
    pk = Alert.objects.get().pk
    assert "It is broken." in browser("viewer").get("/admin/health/").content.decode()
    assert browser("support").post(f"/admin/health/alerts/{pk}/acknowledge/").status_code == 403
    client = browser("operator")
    assert client.get(f"/admin/health/alerts/{pk}/acknowledge/").status_code == 405
    client.post(f"/admin/health/alerts/{pk}/acknowledge/")
    client.post(f"/admin/health/alerts/{pk}/silence/", {"hours": "8", "reason": "known"})
    assert Alert.objects.get().acknowledged_by == "operator" and Alert.objects.get().state == "silenced"
    answer = client.post(f"/admin/health/alerts/{pk}/silence/", {"hours": "9999", "reason": "known"}, follow=True)
    assert "Choose for how long" in answer.content.decode()


def test_calls_of_both_apis_are_counted_each_once(world: World) -> None:
    Client().get("/api/auth/me")
    Client().get("/api/v1/me", headers={"Authorization": "Bearer x"})
    Client().get("/api/v1/roles/", headers={"Authorization": "Bearer x"})
    histograms.background.join()
    roll_up.roll_up()
    counted = {row.endpoint: row.ok + row.rejected + row.failed for row in Minute.objects.all()}
    assert sum(counted.values()) == 3 and "GET auth/me" in counted


def test_prometheus_reads_what_all_processes_counted(world: World, settings: Any) -> None:
    called(times=3)
    assert Client().get("/metrics").status_code == 404
    settings.METRICS_TOKEN = "scraper"
    assert Client().get("/metrics").status_code == 401
    answer = Client().get("/metrics", headers={"Authorization": "Bearer scraper"})
    families = {family.name: family for family in text_string_to_metric_families(answer.content.decode())}
    calls = [sample for sample in families["sigma_requests"].samples if sample.labels["kind"] == "ok"]
    assert [sample.value for sample in calls] == [3.0]
    latency = {sample.labels["quantile"]: sample.value for sample in families["sigma_request_latency_seconds"].samples}
    assert abs(latency["0.95"] - 0.02) < 0.001


def test_a_baseline_is_of_legacys_answers(world: World) -> None:
    called("legacy", times=2)
    called("iam", times=5)
    assert take_baseline("pilot") == 2
    assert {(row.endpoint, row.calls) for row in Baseline.objects.all()} == {("", 2), ("GET auth/me", 2)}


def test_an_answer_that_broke_is_counted_as_failed(world: World) -> None:
    TenantHome.objects.create(tenant="00000000-0000-4000-8000-000000000001", legacy_tenant="a", home="iam")
    with world.iam() as iam:
        iam.execute("ALTER TABLE users RENAME TO gone")
    fields = {"username": "ann", "password": "x", "tenant_id": "00000000-0000-4000-8000-000000000001"}
    for path in ("/api/auth/login", "/api/v1/auth/login"):
        answer = Client(raise_request_exception=False).post(path, fields, content_type="application/json")
        assert answer.status_code >= 500
    histograms.background.join()
    roll_up.roll_up()
    assert [row.failed for row in Minute.objects.filter(home="iam")] == [1, 1]


def test_what_a_client_makes_up_fills_no_memory(world: World) -> None:
    for n in range(5):
        Client().generic(f"MADEUP{n}", "/api/auth/me")
        Client().generic(f"MADEUP{n}", f"/api/v1/made/up/{n}")
        Client().get(f"/api/auth/made-up-{n}")
    histograms.background.join()
    roll_up.roll_up()
    assert Minute.objects.values("home", "endpoint").distinct().count() <= 4  # however many minutes that took
