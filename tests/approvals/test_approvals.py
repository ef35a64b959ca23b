"""What a second person has to agree to: nothing before, exactly what was asked afterwards, and both are on record."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from config import settings as configuration
from migration_portal.approvals.models import Approval
from migration_portal.audit.models import Event
from migration_portal.backups import restore
from migration_portal.backups.models import Restoration
from migration_portal.cutover import guard
from migration_portal.rollback import execute
from migration_portal.rollback.plans import Kind
from migration_portal.runs.states import State
from tests import builders
from tests.backups.builders import backed_up, checked
from tests.backups.conftest import backups as backups
from tests.backups.test_restore import databases_left as databases_left
from tests.console.browsing import browser, words
from tests.cutover.moves import both_loops, moved
from tests.features.switching import flag
from tests.journeys.other_schemas import ONE, migrated, organizations, users
from tests.journeys.other_schemas import plan as plan
from tests.world import World

WIDER = {"percentage": "25", "kind": "user", "reason": "the pilot went well"}


@pytest.fixture(autouse=True)
def second_person(settings: Any) -> None:
    settings.APPROVALS = list(configuration._APPROVABLE)


def asked(client: Client, url: str, **fields: str) -> Approval:
    answer = client.post(url, fields)
    made = Approval.objects.first()
    assert made is not None and answer["Location"] == f"/admin/approvals/{made.pk}/", words(
        client.get(answer["Location"])
    )
    return made


def says(client: Client, made: Approval, verb: str, remark: str = "") -> str:
    return words(client.post(f"/admin/approvals/{made.pk}/{verb}/", {"reason": remark}, follow=True))


def widening(client: Client) -> Approval:
    return asked(client, "/admin/features/new_ui_enabled/change/", **WIDER)


def test_an_operator_asks_and_an_approver_agrees(world: World) -> None:
    world.sample(users=60, tenants=5, rate=0)
    builders.migrated(world)
    operator, approver = browser("operator"), browser("approver")
    made = widening(operator)
    assert flag().percentage == 0 and "Who can agree: approver" in words(operator.get(f"/admin/approvals/{made.pk}/"))
    page = words(approver.get(f"/admin/approvals/{made.pk}/"))
    assert "0 → 25" in page and "Users it is on for" in page and "the pilot went well" in page
    assert "Asked of a second person: 1" in words(approver.get("/admin/"))
    assert "seen everywhere" in says(approver, made, "agree", "as agreed on Monday")
    assert flag().percentage == 25
    events = {event.verb: event for event in Event.objects.all()}
    assert (events["ask_approval"].actor, events["ask_approval"].reason) == ("operator", "the pilot went well")
    assert (events["approve"].actor, events["approve"].reason) == ("approver", "as agreed on Monday")
    assert (events["change_flag"].actor, events["change_flag"].data["approver"]) == ("operator", "approver")
    assert "It was decided, or has expired" in says(approver, made, "agree")


def test_nobody_agrees_to_their_own(world: World) -> None:
    approver = browser("approver")
    made = widening(approver)
    assert "You asked for it yourself. Nobody else may agree" in says(approver, made, "agree")
    builders.member("approver", username="eve")
    assert "Who can agree: eve." in says(approver, made, "agree")
    assert flag().percentage == 0


def test_who_may_only_ask_agrees_to_nothing(world: World) -> None:
    made = widening(browser("approver"))
    assert browser("operator").post(f"/admin/approvals/{made.pk}/agree/").status_code == 403
    assert browser("viewer").post("/admin/features/new_ui_enabled/change/", WIDER).status_code == 403
    assert browser("support").get("/admin/approvals/").status_code == 403
    assert flag().percentage == 0


def test_what_somebody_asked_for_who_is_gone_since_is_not_done(world: World) -> None:
    made = widening(browser("operator"))
    User.objects.filter(username="operator").update(is_active=False)
    assert "operator may not ask for it any more" in says(browser("approver"), made, "agree")
    assert flag().percentage == 0


def test_narrowing_asks_nobody(world: World) -> None:
    says(browser("approver"), widening(browser("operator")), "agree")
    other = Client()
    other.force_login(builders.member("operator", username="otto"))
    other.post("/admin/features/new_ui_enabled/change/", WIDER | {"percentage": "5"})
    assert flag().percentage == 5
    other.post("/admin/features/new_ui_enabled/kill/", {"reason": "stop"})
    assert flag().killed and Approval.objects.count() == 1


def test_a_request_expires_and_another_takes_its_place(world: World) -> None:
    operator, approver = browser("operator"), browser("approver")
    made = widening(operator)
    again = words(operator.post("/admin/features/new_ui_enabled/change/", WIDER, follow=True))
    assert f"Approval {made.pk} asks for it already" in again
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "has expired" in says(approver, made, "agree") and flag().percentage == 0
    assert "Nobody decided in time" in words(approver.get(f"/admin/approvals/{made.pk}/"))
    assert widening(operator).pk != made.pk
    made.refresh_from_db()
    assert made.state == "expired"


def test_it_is_rejected_with_a_reason_or_withdrawn_by_who_asked(world: World) -> None:
    operator, approver = browser("operator"), browser("approver")
    made = widening(operator)
    assert "needs a reason" in says(approver, made, "reject")
    assert "operator asked for it" in says(approver, made, "withdraw")
    assert "Rejected. Nothing has changed." in says(approver, made, "reject", "not on a Friday")
    assert "not on a Friday" in words(operator.get(f"/admin/approvals/{made.pk}/"))
    assert "Withdrawn." in says(operator, widening(operator), "withdraw")
    assert flag().percentage == 0


def test_what_fails_when_it_is_agreed_to_says_so(world: World) -> None:
    world.sample(users=60, tenants=5, rate=0)
    run = builders.migrated(world)
    made = asked(browser("operator"), f"/admin/runs/run/{run.pk}/do/undo/", typed=str(run), reason="a mistake")
    run.move_to(State.UNDOING)
    said = says(browser("approver"), made, "agree")
    made.refresh_from_db()
    assert made.state == "failed" and made.outcome and made.outcome in said


def test_a_run_is_undone_by_two(world: World) -> None:
    world.sample(users=60, tenants=5, rate=0)
    run = builders.migrated(world)
    operator = browser("operator")
    place = f"/admin/runs/run/{run.pk}/"
    assert "Nothing happens before a second person agrees" in words(operator.get(f"{place}change/"))
    figures = words(operator.get(f"/admin/approvals/impact/undo/?run={run.pk}"))
    assert "Rows of users that the run wrote 55" in figures
    made = asked(operator, f"{place}do/undo/", typed=str(run), reason="a mistake")
    run.refresh_from_db()
    assert run.state == "completed"
    assert "Undo has started" in says(browser("approver"), made, "agree")
    run.refresh_from_db()
    assert run.state == "undoing"


def test_what_is_typed_wrong_is_not_even_asked_for(world: World) -> None:
    world.sample(users=60, tenants=5, rate=0)
    run = builders.migrated(world)
    said = words(
        browser("operator").post(f"/admin/runs/run/{run.pk}/do/undo/", {"typed": "x", "reason": "r"}, follow=True)
    )
    assert f"To confirm, type: {run}" in said and not Approval.objects.exists()


def test_a_restored_database_is_put_in_place_by_two(world: World, backups: Path, databases_left: list[str]) -> None:
    builders.legacy_tables(world)
    builders.tenant(world)
    approver = browser("approver")
    backup, name = backed_up("legacy"), f"{world.name}_new"
    approver.post(f"/admin/backups/{backup.pk}/restore/", {"into": name, "reason": "a drill"})
    restoration = Restoration.objects.get()
    databases_left.append(name)
    restore.perform(restoration)
    made = asked(approver, f"/admin/backups/restorations/{restoration.pk}/swap/", typed=name, reason="a drill")
    restoration.refresh_from_db()
    assert restoration.state == "restored"
    eve = Client()
    eve.force_login(builders.member("approver", username="eve"))
    assert "Rows in the backup" in words(eve.get(f"/admin/approvals/{made.pk}/"))
    assert "The restored database is in place" in says(eve, made, "agree")
    restoration.refresh_from_db()
    databases_left.append(restoration.kept_as)
    assert (restoration.swapped_by, restoration.state) == ("approver", "swapped")


def test_the_guard_goes_off_and_the_migration_is_final_by_two(world: World, plan: Any) -> None:
    plan()
    organizations(world, ONE)
    users(world, "ann")
    migrated(world)
    assert moved(ONE).error == ""
    both_loops()
    operator, approver = browser("operator"), browser("approver")
    guard.switch(on=True, by="tester")
    made = asked(operator, "/admin/cutover/guard/", on="no", reason="a client writes directly")
    assert guard.mode().on
    assert "The guard is off." in says(approver, made, "agree")
    assert not guard.mode().on
    made = asked(operator, "/admin/cutover/finalize/", typed="finalize", reason="all is well")
    assert [figure for figure in made.impact if figure[0] == "Tenants"] == [["Tenants", "1"]]
    assert "Finalized" in says(approver, made, "agree")


def test_who_begins_a_roll_back_does_not_agree_to_its_steps(world: World, backups: Path) -> None:
    builders.legacy_tables(world)
    builders.tenant(world)
    backup = backed_up("legacy")
    checked(backup, 3)
    approver = browser("approver")
    made = execute.start(Kind.FULL, by="approver", reason="errors", backup=backup)
    step = made.steps.filter(asks=True).first()  # type: ignore[attr-defined]
    step.ask("ready")
    url = f"/admin/rollback/steps/{step.pk}/approve/"
    assert "You began it yourself" in words(approver.post(url, {"reason": "go"}, follow=True))
    step.refresh_from_db()
    assert step.state == "asks"
    eve = Client()
    eve.force_login(builders.member("approver", username="eve"))
    eve.post(url, {"reason": "go"})
    step.refresh_from_db()
    assert (step.state, step.decided_by) == ("running", "eve")


def test_figures_are_for_those_who_may_ask(world: World) -> None:
    assert browser("viewer").get("/admin/approvals/impact/undo/?run=1").status_code == 403
    assert "There is no such run" in words(browser("operator").get("/admin/approvals/impact/undo/?run=1"))
    approver = browser("approver")
    assert "There is no such action" in words(approver.get("/admin/approvals/impact/nonsense/"))
    for query in ("", "?run=x", "?wave=1"):
        assert approver.get(f"/admin/approvals/impact/undo/{query}").status_code == 404, query


def test_where_no_second_person_is_asked_it_is_done_at_once(world: World, settings: Any) -> None:
    settings.APPROVALS = []
    assert browser("operator").post("/admin/features/new_ui_enabled/change/", WIDER).status_code == 403
    browser("approver").post("/admin/features/new_ui_enabled/change/", WIDER)
    assert flag().percentage == 25 and not Approval.objects.exists()
