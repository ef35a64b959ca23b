"""Judging what was measured: kept with its inputs, told, and acted on where that is allowed."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from flags.models import TenantHome
from migration_portal.audit.models import Event
from migration_portal.cutover.models import Cutover
from migration_portal.monitoring.alerts import signature
from migration_portal.monitoring.models import Alert, Baseline, Minute
from migration_portal.refusal import Refusal
from migration_portal.rollback import complaints, execute, judge
from migration_portal.rollback.matrix import DEFAULTS
from migration_portal.rollback.models import Complaint, Judgement, Matrix, RollBack
from migration_portal.rollback.plans import Kind
from migration_portal.rollback.simulate import replay
from tests.console.browsing import browser
from tests.world import World


@pytest.fixture
def wave(rolled_back: World) -> list[TenantHome]:
    """Three tenants in the IAM, two of them by the last wave."""
    made = []
    for n, name in enumerate(("first", "second", "second")):
        moved = timezone.now() - timedelta(hours=3 - n)
        tenant = TenantHome.objects.create(
            tenant=f"t{n}", legacy_tenant=f"t{n}", home="iam", wave=name, changed_at=moved
        )
        Cutover.objects.create(tenant=tenant, home="iam", wave=name, state="done", requested_by="t")
        made.append(tenant)
    return made


def failing(minutes: int = 10, ok: int = 50, failed: int = 50, ago: int = 1) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    for n in range(ago, minutes + ago):
        Minute.objects.create(at=now - timedelta(minutes=n), home="iam", endpoint="GET auth/me", ok=ok, failed=failed)


def test_nothing_is_judged_before_anybody_has_moved(rolled_back: World) -> None:
    failing()
    assert judge.judge() is None and not Judgement.objects.exists()


def test_a_verdict_is_kept_with_what_it_was_made_from_and_its_version(wave: list[TenantHome]) -> None:
    failing()
    judge.judge()
    kept = Judgement.objects.get()
    assert (kept.severity, kept.action, kept.matrix) == ("critical", "immediate", Matrix.objects.get())
    assert kept.measured["windows"]["5"][0] == [500, 250] and len(kept.reasons) >= 2


def test_in_shadow_it_only_says_what_it_would(wave: list[TenantHome]) -> None:
    failing()
    made = judge.judge()
    assert made is not None and made.acted == "Would reverse 2 tenants of the wave second."
    assert not Cutover.objects.under_way().exists()


def test_where_it_may_it_reverses_the_last_wave_once(wave: list[TenantHome], settings: Any) -> None:
    settings.ROLLBACK_MODE = "act"
    failing()
    judge.judge()
    judge.judge()
    execute.go_on()
    under_way = Cutover.objects.under_way()
    assert {move.tenant_id for move in under_way} == {"t1", "t2"} and {move.home for move in under_way} == {"legacy"}
    assert Event.objects.filter(verb="roll_back", actor="decision matrix", data__wave="second").count() == 1


def test_a_person_keeps_it_from_acting_for_a_while(wave: list[TenantHome], settings: Any) -> None:
    settings.ROLLBACK_MODE = "act"
    with pytest.raises(Refusal, match="Use 72 at most"):
        judge.hold(hours=73, by="ada", reason="a known outage")
    judge.hold(hours=1, by="ada", reason="a known outage")
    failing()
    made = judge.judge()
    assert made is not None and "would reverse 2 tenants" in made.acted and not RollBack.objects.exists()
    assert Alert.objects.open().exists()
    judge.hold(hours=0, by="ada", reason="it is over")
    judge.judge()
    assert RollBack.objects.get().wave == "second"


def test_what_it_would_do_is_kept_once(wave: list[TenantHome]) -> None:
    failing()
    for _ in range(3):
        judge.judge()
    assert Judgement.objects.count() == 1


def test_a_rehearsal_makes_room(wave: list[TenantHome], settings: Any) -> None:
    settings.ROLLBACK_MODE = "act"
    rehearsal = execute.start(Kind.GRADUAL, by="ada", reason="a drill", rehearsal=True)
    failing()
    judge.judge()
    rehearsal.refresh_from_db()
    assert rehearsal.state == "stopped" and RollBack.objects.under_way().get().kind == "immediate"


def test_while_it_asks_for_a_roll_back_an_alert_is_open(wave: list[TenantHome]) -> None:
    failing()
    judge.judge()
    assert Alert.objects.open().get().key == "rollback:immediate"
    Minute.objects.all().delete()
    judge.judge()
    assert not Alert.objects.open().exists()


def test_the_same_verdict_is_kept_once(wave: list[TenantHome]) -> None:
    for _ in range(3):
        judge.judge()
    assert Judgement.objects.count() == 1


def test_silence_after_many_requests_is_told(wave: list[TenantHome]) -> None:
    failing(minutes=10, ok=100, failed=0, ago=7)
    judge.judge()
    assert Alert.objects.open().get().key == "silence:iam"


def test_latency_is_judged_against_the_baseline(wave: list[TenantHome]) -> None:
    Baseline.objects.create(calls=5000, failed=0, p95=50)
    now = timezone.now().replace(second=0, microsecond=0)
    from legacy_compat.histograms import bucket

    Minute.objects.create(
        at=now - timedelta(minutes=1), home="iam", endpoint="x", ok=300, buckets={str(bucket(400)): 300}
    )
    made = judge.judge()
    assert made is not None and made.reasons[0].startswith("Response time up by 200 ms")


def test_changing_the_rules_makes_a_version_and_is_audited(rolled_back: World) -> None:
    first = judge.in_force()
    rows = [rule.as_dict() for rule in DEFAULTS[:2]]
    made = judge.change_rules(rows, by="tester", reason="stricter")
    assert judge.in_force() == made and first.rules == list(DEFAULTS)
    assert Event.objects.filter(verb="change_rules", reason="stricter").exists()
    with pytest.raises(Refusal, match="It has no rule"):
        judge.change_rules([], by="tester", reason="x")
    with pytest.raises(Refusal, match="unknown metric"):
        judge.change_rules([rows[0] | {"metric": "luck"}], by="tester", reason="x")


def test_yesterday_is_replayed_by_other_rules(wave: list[TenantHome]) -> None:
    failing(minutes=10, ago=30)
    now = timezone.now().replace(second=0, microsecond=0)
    changes = list(replay(list(DEFAULTS), since=now - timedelta(hours=1), until=now))
    assert [change.verdict.severity for change in changes] == ["none", "critical", "none"]


def signed(body: bytes, moment: str, secret: str = "shared") -> dict[str, str]:
    return {"X-Sigma-Timestamp": moment, "X-Sigma-Signature": f"sha256={signature(secret, moment, body)}"}


def test_a_help_desk_registers_a_ticket_once(rolled_back: World, settings: Any) -> None:
    body, now = json.dumps({"about": "slow", "reference": "T-1"}).encode(), str(int(time.time()))

    def post(body: bytes, headers: dict[str, str]) -> int:
        return Client().post("/hooks/complaints", body, content_type="application/json", headers=headers).status_code

    assert post(body, signed(body, now)) == 404
    settings.COMPLAINTS_SECRET = "shared"
    assert [post(body, signed(body, now)) for _ in range(2)] == [201, 201]
    assert Complaint.objects.count() == 1
    assert post(body, signed(body, now, "another")) == 401
    assert post(body, signed(body, str(int(time.time()) - 3600))) == 401
    assert post(b"[]", signed(b"[]", now)) == 400
    bad = json.dumps({"about": "everything"}).encode()
    assert post(bad, signed(bad, now)) == 422
    assert Client().get("/hooks/complaints").status_code == 405


def test_ten_complaints_in_an_hour_stop_ramps_and_no_more(wave: list[TenantHome], settings: Any) -> None:
    settings.ROLLBACK_MODE = "act"
    for _ in range(10):
        complaints.register("slow", by="tester")
    made = judge.judge()
    assert made is not None and (made.action, made.acted) == ("gradual", "")
    Complaint.objects.update(at=timezone.now() - timedelta(hours=2))
    made = judge.judge()
    assert made is not None and made.action == "none"


def test_the_page_registers_simulates_and_changes(wave: list[TenantHome]) -> None:
    support = browser("support")
    assert support.post("/admin/rollback/matrix/complaints/", {"about": "ui"}).status_code == 302
    assert "The user interface" in support.get("/admin/rollback/matrix/").content.decode()
    page = support.get(
        "/admin/rollback/matrix/?simulate=numbers&requests=600&failures=120&p95=0&baseline=0&findings=0&complaints=0"
    )
    assert "critical: immediate" in page.content.decode()
    assert "Type numbers" in support.get("/admin/rollback/matrix/?simulate=numbers&requests=x").content.decode()
    assert "24 hours" in support.get("/admin/rollback/matrix/?simulate=yesterday").content.decode()
    assert support.post("/admin/rollback/matrix/rules/").status_code == 403
    row = DEFAULTS[0].as_dict()
    fields: dict[str, Any] = {
        name: [str(row[name])]
        for name in ("name", "metric", "threshold", "severity", "action", "minutes", "running", "least")
    }
    approver = browser("approver")
    answer = approver.post("/admin/rollback/matrix/rules/", fields | {"reason": "only one"}, follow=True)
    assert "of the matrix is in force" in answer.content.decode() and len(judge.in_force().rules) == 1
    answer = approver.post(
        "/admin/rollback/matrix/rules/", fields | {"reason": "x", "threshold": ["much"]}, follow=True
    )
    assert "A number is none" in answer.content.decode()


def test_a_minute_that_goes_on_is_not_judged(wave: list[TenantHome]) -> None:
    Minute.objects.create(at=timezone.now().replace(second=0, microsecond=0), home="iam", endpoint="x", failed=500)
    made = judge.judge()
    assert made is not None and made.action == "none"


def test_an_approver_holds_the_matrix_on_its_page(rolled_back: World) -> None:
    approver = browser("approver")
    page = approver.post("/admin/rollback/matrix/hold/", {"hours": "2", "reason": "a known outage"}, follow=True)
    assert "Let it act again" in page.content.decode() and "a known outage" in page.content.decode()
    bad = approver.post("/admin/rollback/matrix/hold/", {"hours": "x", "reason": "r"}, follow=True)
    assert "no number of hours" in bad.content.decode()
    assert browser("operator").post("/admin/rollback/matrix/hold/", {"hours": "0", "reason": "r"}).status_code == 403


def test_what_is_critical_is_shown_also_where_nobody_asks_anything(wave: list[TenantHome]) -> None:
    for _ in range(10):
        complaints.register("sign_in", by="support")
    judge.judge()
    viewer = browser("viewer")
    for path in ("", "matrix/"):
        page = viewer.get(f"/admin/rollback/{path}").content.decode()
        assert "medium: gradual" in page and "nothing is rolled back" not in page
    TenantHome.objects.update(home="legacy")
    assert "No tenant lives in the IAM" in viewer.get("/admin/rollback/").content.decode()


def test_tenants_that_have_just_come_are_not_called_silent(wave: list[TenantHome]) -> None:
    failing(minutes=10, ok=500, failed=0, ago=8)
    judge.judge()
    assert Alert.objects.open().filter(key="silence:iam").exists()
    TenantHome.objects.update(changed_at=timezone.now())
    judge.judge()
    assert not Alert.objects.open().filter(key="silence:iam").exists()


@pytest.mark.parametrize("moment", ["\u00b2", "9" * 5000, "-1", "1e9"])
def test_a_moment_that_is_none_is_a_wrong_signature(rolled_back: World, settings: Any, moment: str) -> None:
    settings.COMPLAINTS_SECRET = "shared"
    headers = {"X-Sigma-Timestamp": moment, "X-Sigma-Signature": "sha256=0"}
    assert Client().post("/hooks/complaints", b"{}", "application/json", headers=headers).status_code == 401


def test_a_long_ticket_counts_once_and_nested_json_is_no_object(rolled_back: World, settings: Any) -> None:
    settings.COMPLAINTS_SECRET = "shared"
    ticket = json.dumps({"about": "slow", "reference": "t" * 150, "tenant": None}).encode()
    for body, status in ((ticket, 201), (ticket, 201), (b"[" * 100_000, 400)):
        headers = signed(body, str(int(time.time())))
        assert Client().post("/hooks/complaints", body, "application/json", headers=headers).status_code == status
    assert Complaint.objects.get().tenant == ""
