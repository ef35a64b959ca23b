"""The pages of rolling back: who may do what, and only by POST."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import maintenance
from flags.models import Flag, TenantHome
from migration_portal.monitoring.models import Heartbeat
from migration_portal.rollback import execute
from migration_portal.rollback.models import RollBack
from migration_portal.rollback.plans import Kind
from tests.console.browsing import browser
from tests.rollback.going import gone_on, step_of
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def test_the_board_shows_the_ladder_and_says_what_to_do_first(world: World) -> None:
    page = browser("viewer").get("/admin/rollback/").content.decode()
    assert "None yet" in page and "Rehearse each kind" in page and "Roll back…" not in page
    page = browser("operator").get("/admin/rollback/").content.decode()
    assert page.count("Rehearse…") == 6 and page.count("Roll back…") == 4  # what restores or removes takes an approver
    assert browser("approver").get("/admin/rollback/").content.decode().count("Roll back…") == 6


def test_an_operator_starts_what_an_approver_need_not_agree_to(world: World) -> None:
    client = browser("operator")
    fields = {"kind": "front_end", "feature": "oauth2_enabled", "reason": "the new screens are blank"}
    page = client.post("/admin/rollback/start/", fields, follow=True).content.decode()
    made = RollBack.objects.get()
    assert "It is under way." in page and f"Roll-back {made.pk} (front end)" in page
    assert client.post("/admin/rollback/start/", {"kind": "database", "reason": "x"}).status_code == 403
    assert client.post("/admin/rollback/start/", {"kind": "nonsense"}).status_code == 404
    assert client.get("/admin/rollback/start/").status_code in (404, 405)
    viewer = browser("viewer")
    for path in ("start/", f"{made.pk}/stop/", f"{made.pk}/note/", "doors/"):
        assert viewer.post(f"/admin/rollback/{path}", fields).status_code == 403


def test_what_removes_or_restores_is_confirmed_by_its_name(world: World) -> None:
    client = browser("approver")
    answer = client.post("/admin/rollback/start/", {"kind": "database", "reason": "x", "typed": "databse"}, follow=True)
    assert "To confirm, type: database" in answer.content.decode() and not RollBack.objects.exists()


def test_a_rehearsal_needs_no_approver(world: World) -> None:
    fields = {"kind": "database", "reason": "before the first wave", "rehearsal": "yes"}
    page = browser("operator").post("/admin/rollback/start/", fields, follow=True).content.decode()
    made = gone_on(RollBack.objects.get())
    assert "It is rehearsed." in page and made.rehearsal and made.state == "done"


def test_a_failed_step_is_tried_again_skipped_and_noted(world: World) -> None:
    Heartbeat.objects.create(name="queue celery", at=timezone.now() - timedelta(hours=1))
    Heartbeat.objects.create(name="queue follow", at=timezone.now())
    made = gone_on(execute.start(Kind.FRONT_END, by="ada", reason="blank", features=["oauth2_enabled"]))
    step = step_of(made, "check_services")
    operator, approver = browser("operator"), browser("approver")
    page = operator.get(f"/admin/rollback/{made.pk}/").content.decode()
    assert "Try again" in page and "Skip…" not in page and "No heartbeat" in page
    skipping = f"/admin/rollback/steps/{step.pk}/skip/"
    assert operator.post(skipping, {"reason": "known"}).status_code == 403
    assert operator.post(f"/admin/rollback/steps/{step.pk}/retry/").status_code == 302
    gone_on(made)
    assert approver.post(f"/admin/rollback/steps/{step.pk}/nonsense/").status_code == 404
    approver.post(skipping, {"reason": "known"})
    assert gone_on(made).state == "done"
    operator.post(f"/admin/rollback/{made.pk}/note/", {"note": "told support"})
    page = operator.get(f"/admin/rollback/{made.pk}/").content.decode()
    assert "skipped by approver: known" in page and "told support" in page
    assert Flag.objects.get(name="oauth2_enabled").killed


def test_doors_are_closed_by_an_approver_and_show_on_the_board(world: World) -> None:
    client = browser("approver")
    bad = client.post("/admin/rollback/doors/", {"doors": "closed", "reason": "x", "minutes": "soon"}, follow=True)
    assert "no number of minutes" in bad.content.decode() and maintenance.current() is None
    client.post("/admin/rollback/doors/", {"doors": "closed", "reason": "a drill", "minutes": "5"})
    assert "a drill" in client.get("/admin/rollback/").content.decode()
    assert browser("operator").post("/admin/rollback/doors/", {"doors": "open"}).status_code == 403
    client.post("/admin/rollback/doors/", {"doors": "open"})
    assert maintenance.current() is None


def test_the_dialog_says_in_numbers_what_would_be_touched(world: World) -> None:
    for n, wave in enumerate(("first", "second")):
        TenantHome.objects.create(
            tenant=f"00000000-0000-4000-8000-00000000000{n}", legacy_tenant=f"t{n}", home="iam", wave=wave,
            changed_at=timezone.now() + timedelta(minutes=n),
        )  # fmt: skip
    page = browser("operator").get("/admin/rollback/").content.decode()
    assert "2 tenants live in the IAM, with 0 users" in page
    assert page.index("second: 1 tenants, 0 users, 0 writes") < page.index("first: 1 tenants")
