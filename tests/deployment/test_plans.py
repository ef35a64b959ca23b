"""Deployment plans: checks prove tasks, gates refuse what is not green, overriding stays visible; screen, paper, JSON."""

from __future__ import annotations

import io
import json
import tomllib
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from flags.models import TenantHome
from migration_portal.audit.models import Event
from migration_portal.deployment import checks, views, work
from migration_portal.deployment.models import Contact, Phase, Plan, Task
from migration_portal.monitoring.models import Heartbeat, Minute
from migration_portal.refusal import Refusal
from migration_portal.runs.retry import discard_rows
from tests import builders
from tests.world import World


@pytest.fixture
def plan(world: World) -> Plan:
    return work.make("Autumn", "capability", by="otto")


def phase(plan: Plan, order: int) -> Phase:
    return plan.phases.get(order=order)  # type: ignore[attr-defined,no-any-return]


def force(plan: Plan, upto: int) -> None:
    """As if these phases had passed."""
    plan.phases.filter(order__lt=upto).update(passed_at=timezone.now())  # type: ignore[attr-defined]


@pytest.mark.parametrize("template", sorted(work.templates()))
def test_every_check_that_a_template_names_exists(template: str) -> None:
    content = tomllib.loads((work._TEMPLATES / f"{template}.toml").read_text(encoding="utf-8"))
    for each in content["phases"]:
        assert {*each["gate"], *(task["check"] for task in each["tasks"] if "check" in task)} <= checks.CHECKS.keys()


@pytest.mark.parametrize("name", sorted(checks.CHECKS))
def test_every_check_answers_an_empty_portal_in_a_sentence(world: World, name: str) -> None:
    found = checks.look(name)
    assert found.what.endswith((".", "%"))
    assert found.passed is not True or name in ("schema", "no_critical_alert", "quarantine", "endpoints")


@pytest.mark.parametrize("url", ["LEGACY_DATABASE_URL", "IAM_DATABASE_URL"])
def test_what_a_database_does_not_answer_cannot_be_told(world: World, settings: Any, url: str) -> None:
    setattr(settings, url, "postgresql://nobody@127.0.0.1:1/none")
    for name in checks.CHECKS:
        checks.look(name)  # none of them raises
    assert checks.look("odd").passed is None


def test_phases_follow_each_other_and_a_plan_is_its_own(plan: Plan) -> None:
    phases = list(plan.phases.all())  # type: ignore[attr-defined]
    assert len(phases) == 6 and [each.order for each in phases] == list(range(6))
    assert all(a.ends_at == b.starts_at for a, b in pairwise(phases))
    with pytest.raises(Refusal, match="of that name"):
        work.make("Autumn", "strategy", by="otto")
    for name, template in (("x", "odd"), (" ", "strategy")):
        with pytest.raises(Refusal):
            work.make(name, template, by="otto")


def test_a_check_proves_its_task_with_evidence_and_takes_it_back(plan: Plan, world: World) -> None:
    force(plan, 1)
    task = Task.objects.get(name="Every row is migrated, none differs")
    work.prove([task], by="otto")
    task.refresh_from_db()
    assert task.done_at is None and task.last["passed"] is False  # type: ignore[index]
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world), is_superuser=True)
    run = builders.migrated(world)
    work.prove([task], by="otto")
    task.refresh_from_db()
    assert task.done_at and task.last["link"].endswith(f"/{run.pk}/change/") and len(task.results) == 2  # type: ignore[index]
    with world.iam() as iam:
        iam.execute("UPDATE portal_ledger.checks SET severity = 'error' WHERE name = 'emails'")
    work.prove([task], by="otto")
    task.refresh_from_db()
    assert task.done_at is None


def test_a_gate_refuses_until_its_criteria_are_measured_green(plan: Plan, world: World) -> None:
    with pytest.raises(Refusal, match="“Pre-deployment” has not passed"):
        work.pass_gate(phase(plan, 1), by="otto")
    force(plan, 1)
    with pytest.raises(Refusal, match="data_complete: No run has copied"):
        work.pass_gate(phase(plan, 1), by="otto")
    assert phase(plan, 1).results and phase(plan, 1).passed_at is None
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world), is_superuser=True)
    builders.migrated(world)
    work.pass_gate(phase(plan, 1), by="otto")
    passed = phase(plan, 1)
    assert passed.passed_by == "otto" and not passed.override and all(each["passed"] for each in passed.results)
    with pytest.raises(Refusal, match="passed already"):
        work.pass_gate(passed, by="otto")


def test_undecided_quarantine_keeps_the_gate_shut(plan: Plan, world: World) -> None:
    from migration_portal.runs.models import QuarantinedRow

    force(plan, 1)
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world), is_superuser=True)
    builders.user(world, "00000000-0000-4000-8000-000000000001")
    builders.migrated(world)
    with pytest.raises(Refusal, match="not done: Quarantine is decided"):
        work.pass_gate(phase(plan, 1), by="otto")
    discard_rows(list(QuarantinedRow.objects.filter(state="open")), by="otto", reason="nobody's")
    work.pass_gate(phase(plan, 1), by="otto")


def test_an_override_needs_a_reason_and_stays_visible(plan: Plan) -> None:
    first = phase(plan, 0)
    with pytest.raises(Refusal):
        work.pass_gate(first, by="ada", override="  ")
    work.pass_gate(first, by="ada", override="the rehearsal server burned")
    first = phase(plan, 0)
    assert first.override == "the rehearsal server burned"
    assert Event.objects.get(verb="override_gate").reason == first.override
    work.reopen(first, by="ada", reason="it is back")
    assert phase(plan, 0).passed_at is None and phase(plan, 0).override == ""


def test_a_task_without_a_check_is_done_with_a_note_and_signed_by_somebody_else(plan: Plan) -> None:
    task = Task.objects.get(name="Review the plan with the team")
    with pytest.raises(Refusal, match="needs a reason"):
        work.done(task, by="otto", note=" ")
    with pytest.raises(Refusal, match="is not done"):
        work.sign(task, by="ada")
    work.done(task, by="otto", note="meeting of 11-26")
    task.refresh_from_db()
    with pytest.raises(Refusal, match="Somebody else"):
        work.sign(task, by="otto")
    work.sign(task, by="ada")
    with pytest.raises(Refusal, match="Its check proves it"):
        work.done(
            Task.objects.get(name="Set up monitoring and alerts"),
            by="o",
            note="x",
        )


def test_shares_of_tenants_open_the_gates_of_the_waves(world: World) -> None:
    for n in range(4):
        TenantHome.objects.create(tenant=f"t{n}", legacy_tenant=f"t{n}", home="iam" if n < 2 else "legacy")
    assert [checks.look(name).passed for name in ("quarter", "half", "all_tenants")] == [True, True, False]


def test_error_rate_latency_and_uptime_are_measured(world: World) -> None:
    assert checks.look("error_rate").passed is None
    Heartbeat.objects.create(name="web", at=timezone.now() - timedelta(hours=1))
    assert checks.look("services").passed is False
    assert Minute.objects.count() == 0


def test_contacts_say_who_is_on_duty(world: World) -> None:
    for role in checks.ROLES:
        work.set_contact(role, "Ann", "+43 1 234", on_duty=True, by="otto")
    assert checks.look("on_duty").passed is True
    work.set_contact(checks.ROLES[0], "Ann", "+43 1 234", on_duty=False, by="otto")
    assert f"Nobody is on duty as {checks.ROLES[0]}" in checks.look("on_duty").what
    with pytest.raises(Refusal):
        work.set_contact("x", " ", "y", on_duty=False, by="otto")


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0.01, 1000)), min_size=1, max_size=8))
def test_bars_of_the_timeline_stay_within_it(spans: list[tuple[int, float]]) -> None:
    start = timezone.now() - timedelta(hours=100)
    phases = [
        Phase(pk=n + 1, starts_at=start + timedelta(hours=at), ends_at=start + timedelta(hours=at + hours))
        for n, (at, hours) in enumerate(spans)
    ]
    for bar in views.timeline(phases).values():
        assert 0 <= bar["left"] <= 100 and 0 < bar["width"] <= 100.001 and 0 <= bar["now"] <= 100


# The console and the terminal


@pytest.fixture
def console(world: World) -> Client:
    builders.member("operator", username="otto")
    client = Client()
    client.login(username="otto", password="secret-pass-1")
    return client


def test_a_plan_is_made_worked_printed_and_exported_in_the_console(console: Client) -> None:
    made = console.post("/admin/deployment/make/", {"name": "Autumn", "template": "strategy"})
    place = made["Location"]
    assert "Week 1: database migration" in console.get(place).content.decode()
    assert b"Checks run:" in console.post(f"{place}prove/", follow=True).content
    assert "No inventory has been taken." in console.get(place).content.decode()
    task = Task.objects.filter(check_name="").first()
    assert task is not None
    console.post(f"/admin/deployment/task/{task.pk}/assign/", {"owner": "Ann", "due_at": "2026-12-01T10:00"})
    console.post(f"/admin/deployment/task/{task.pk}/done/", {"reason": "seen"})
    task.refresh_from_db()
    assert (task.owner, task.done_by, f"{task.due_at:%m-%d}") == ("Ann", "otto", "12-01")
    first = Phase.objects.get(order=0)
    assert (
        b"No inventory has been taken" in console.post(f"/admin/deployment/phase/{first.pk}/pass/", follow=True).content
    )
    assert (
        console.post(f"/admin/deployment/phase/{first.pk}/override/", {"reason": "x", "typed": "override"}).status_code
        == 403
    )
    assert "☑" in console.get(f"{place}?print=yes").content.decode()
    exported = console.get(f"{place}export/")
    assert exported["Content-Disposition"].startswith("attachment") and len(json.loads(exported.content)["phases"]) == 5
    assert (
        b"That is no time"
        in console.post(
            f"/admin/deployment/task/{task.pk}/assign/", {"owner": "Ann", "due_at": "soon"}, follow=True
        ).content
    )


def test_an_approver_overrides_with_a_typed_word_and_a_reason(plan: Plan) -> None:
    builders.member("approver", username="ada")
    client = Client()
    client.login(username="ada", password="secret-pass-1")
    place = f"/admin/deployment/phase/{phase(plan, 0).pk}/override/"
    for form in ({"reason": "x"}, {"typed": "override"}):
        client.post(place, form)
        assert phase(plan, 0).passed_at is None
    client.post(place, {"reason": "decided by the board", "typed": "override"})
    assert "decided by the board" in client.get(f"/admin/deployment/{plan.pk}/").content.decode()


def test_contacts_are_kept_in_the_console(console: Client) -> None:
    console.post(
        "/admin/deployment/contacts/", {"role": "DevOps lead", "name": "Ann", "reach": "+43", "on_duty": "yes"}
    )
    made = Contact.objects.get()
    assert b"on duty" in console.get("/admin/deployment/contacts/").content
    console.post("/admin/deployment/contacts/", {"remove": str(made.pk)})
    assert not Contact.objects.exists()


def test_the_terminal_makes_checks_and_passes(world: World) -> None:
    def portal(*arguments: str) -> Any:
        out = io.StringIO()
        call_command("portal", "plan", *arguments, stdout=out)
        return out.getvalue()

    assert json.loads(portal("make", "Autumn", "--template", "capability", "--json"))["next_steps"]
    with pytest.raises(CommandError, match="Checks that are not green"):
        portal("check", "Autumn")
    assert "No roll-back has been rehearsed" in portal("show", "Autumn")
    with pytest.raises(CommandError, match="rehearsal"):
        portal("pass", "Autumn")
    assert "overridden" in portal("pass", "Autumn", "--override", "practice")
    with pytest.raises(CommandError, match="no such plan"):
        portal("show", "Winter")
