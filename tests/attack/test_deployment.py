"""What strangers found in deployment plans, forecasts and the support desk: gates that pass on nothing, people not found."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from flags.models import TenantHome
from iam.models import User
from migration_portal.audit.models import Event
from migration_portal.backups.models import Backup
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.decommission.remaining import remaining
from migration_portal.decommission.trend import trend
from migration_portal.deployment import checks, work
from migration_portal.deployment.models import Phase, Plan, Task
from migration_portal.monitoring.models import Heartbeat
from migration_portal.notices.models import Notice, Recipient
from migration_portal.refusal import Refusal
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.runs.models import Run
from migration_portal.runs.uncapture import uncapture
from migration_portal.runs.undo import undo
from migration_portal.support.find import find
from migration_portal.support.person import end_sessions
from tests import builders
from tests.cutover.moves import both_loops, moved
from tests.world import World


@pytest.fixture
def plan(world: World) -> Plan:
    return work.make("Autumn", "capability", by="otto")


def copied(world: World, **options: Any) -> Run:
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world), username="ann", email="ann@example.org")
    return builders.migrated(world, **options)


def phase(plan: Plan, order: int) -> Phase:
    found: Phase = plan.phases.get(order=order)  # type: ignore[attr-defined]
    return found


def by_hand(plan: Plan) -> Task:
    """A task that no check proves."""
    found: Task = Task.objects.filter(phase__plan=plan, check_name="")[0]
    return found


# Gates and their evidence


def test_an_iam_that_was_emptied_is_no_complete_migration(world: World) -> None:
    copied(world)
    assert checks.look("data_complete").passed
    with world.iam() as iam:
        iam.execute("TRUNCATE users CASCADE")
    found = checks.look("data_complete")
    assert (found.passed, "Empty in the IAM" in found.what) == (False, True)


def test_a_verification_of_last_week_is_none(world: World) -> None:
    run = copied(world)
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(days=7))
    assert checks.look("data_complete").passed is None


def test_nothing_is_green_of_a_run_that_was_undone(world: World) -> None:
    run = copied(world)
    undo(run, by="otto", reason="back")
    builders.finish(run)
    names = ("data_complete", "capabilities", "queries", "quarantine")
    assert [name for name in names if checks.look(name).passed] == []


def test_a_task_that_was_signed_off_opens_again_when_it_is_not_so_any_more(world: World, plan: Plan) -> None:
    copied(world)
    task = Task.objects.get(phase__plan=plan, check_name="quarantine")
    work.prove([task], by="otto")
    work.sign(Task.objects.get(pk=task.pk), by="anna")
    with world.iam() as iam:
        iam.execute(
            "INSERT INTO portal_ledger.quarantine (run, table_name, source_table, source_key, reason, detail, data)"
            " VALUES (%s, 'users', 'users', '{x}', 'orphan', '', '{}')",
            [Run.objects.get().key],
        )
    work.prove([Task.objects.get(pk=task.pk)], by="otto")
    task.refresh_from_db()
    assert (task.done_at, task.signed_at) == (None, None)
    verbs = Event.objects.filter(object_type="task").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["task_done", "sign_task", "task_reopened"]


def test_a_wave_in_which_nobody_moved_is_no_first_wave(world: World) -> None:
    home = TenantHome.objects.create(tenant=str(uuid.uuid4()), legacy_tenant="x", home="legacy")
    wave = Wave.objects.create(name="w", state="done", planned_by="otto")
    wave.tenants.set([home])
    assert checks.look("first_wave").passed is False
    TenantHome.objects.update(home="iam")
    assert checks.look("first_wave").passed


def test_a_notice_that_reached_nobody_or_long_ago_announces_nothing(world: World) -> None:
    now = timezone.now()
    notice = Notice.objects.create(name="n", template="t", state="sent", planned_by="otto", ended_at=now)
    assert checks.look("announced").passed is False
    Recipient.objects.create(notice=notice, user=uuid.uuid4(), email="a@b.c", tenant="x", state="sent")
    assert checks.look("announced").passed
    Notice.objects.update(ended_at=now - timedelta(days=900))
    assert checks.look("announced").passed is False


def test_one_heartbeat_is_not_every_part(world: World) -> None:
    Heartbeat.objects.create(name="queue follow", at=timezone.now())
    assert checks.look("services").passed is False


def test_a_rehearsal_counts_when_it_is_the_latest_and_recent(world: World) -> None:
    now = timezone.now()
    backup = Backup.objects.create(side="legacy", requested_by="otto", place="x")
    good: dict[str, Any] = {"requested_by": "otto", "tenants": 2, "backup": backup, "measured": {"passed": True}}
    Rehearsal.objects.create(**good, finished_at=now - timedelta(days=400))
    assert checks.look("rehearsal").passed is False
    Rehearsal.objects.create(**good, finished_at=now)
    assert checks.look("rehearsal").passed
    Rehearsal.objects.create(**good, finished_at=now, error="disk full")
    assert checks.look("rehearsal").passed is False


def test_a_gate_asks_for_the_sign_off_of_another(world: World, plan: Plan) -> None:
    task = by_hand(plan)
    work.done(task, by="otto", note="I saw it")
    Phase.objects.filter(order__lt=task.phase.order).update(passed_at=timezone.now())
    with pytest.raises(Refusal, match=f"not signed off by another: {task.name}"):
        work.pass_gate(task.phase, by="otto")
    with pytest.raises(Refusal, match="Somebody else signs"):
        work.sign(task, by="otto")


def test_a_stale_page_replaces_neither_note_nor_name(world: World, plan: Plan) -> None:
    task = by_hand(plan)
    work.done(task, by="anna", note="build 1 is green")
    with pytest.raises(Refusal, match="anna has done it: build 1 is green"):
        work.done(task, by="bob", note="build 2 was RED")
    work.sign(task, by="carl")
    with pytest.raises(Refusal, match="carl has signed it off"):
        work.sign(task, by="dora")
    assert list(Event.objects.filter(object_type="task").order_by("id").values_list("actor", flat=True)) == [
        "anna",
        "carl",
    ]


def test_an_override_stays_visible_when_the_phase_is_opened_again(world: World, plan: Plan) -> None:
    first = phase(plan, 0)
    work.pass_gate(first, by="anna", override="we accept that")
    work.reopen(first, by="anna", reason="once more")
    with pytest.raises(Refusal, match="has not passed"):
        work.reopen(first, by="anna", reason="once more")
    builders.member("viewer", username="vera")
    client = Client()
    client.login(username="vera", password="secret-pass-1")
    for page in ("", "?print=1"):
        assert "we accept that" in client.get(f"/admin/deployment/{plan.pk}/{page}").content.decode()
    assert work.as_dict(plan)["phases"][0]["overrides"][0]["by"] == "anna"


# What is left, and when it ends


def moves(count: int, days_ago: int, home: str = "iam") -> None:
    at = timezone.now() - timedelta(days=days_ago)
    for _ in range(count):
        tenant = TenantHome.objects.create(tenant=str(uuid.uuid4()), legacy_tenant=str(uuid.uuid4()), home=home)
        Cutover.objects.create(tenant=tenant, home=home, state="done", finished_at=at)


def test_nothing_is_forecast_of_an_empty_portal(world: World) -> None:
    found = trend()
    assert (found.ends, found.all_moved) == (None, False)


def test_nothing_is_forecast_while_the_number_stands_still_or_rises(world: World) -> None:
    TenantHome.objects.create(tenant="left", legacy_tenant="left")
    moves(20, days_ago=12)
    assert trend().ends is None
    moves(5, days_ago=1, home="legacy")
    assert trend().ends is None


def test_a_forecast_follows_the_last_days_and_names_the_day_that_all_had_moved(world: World) -> None:
    TenantHome.objects.create(tenant="left", legacy_tenant="left")
    for day in range(6):
        moves(1, days_ago=day)
    assert trend().ends == timezone.localdate() + timedelta(days=1)
    TenantHome.objects.filter(pk="left").update(home="iam")
    Cutover.objects.update(finished_at=timezone.now() - timedelta(days=3))
    ended: date = timezone.localdate() - timedelta(days=3)
    assert (trend().all_moved, trend().ends) == (True, ended)


def test_quarantined_rows_are_left_also_where_no_run_captures(world: World) -> None:
    builders.legacy_tables(world)
    builders.user(world, str(uuid.uuid4()), username="lost")
    builders.user(world, builders.tenant(world))
    run = builders.migrated(world, capture=True)
    uncapture(run, by="otto", reason="enough")
    assert next(row.count for row in remaining() if row.what == "quarantined rows to decide") > 0


# People


@pytest.fixture
def support(world: World) -> Client:
    builders.member("support", username="sue")
    client = Client(raise_request_exception=False)
    client.login(username="sue", password="secret-pass-1")
    return client


def test_signing_out_somebody_of_legacy_writes_nothing_that_is_legacys(world: World, support: Client) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    ann = builders.user(world, home, username="ann", refresh_token="legacys")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    ended = end_sessions(User.objects.get(pk=ann), by="sue", reason="stolen")
    assert not ended.here and "lives in legacy" in ended.words
    assert User.objects.get(pk=ann).refresh_token == "legacys"
    assert moved(home).error == ""


def test_a_database_that_is_away_is_named_on_a_page_and_a_post(
    world: World, support: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from migration_portal.capabilities import views as pages

    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(pages.capabilities, "of", away)
    from tests.legacy_compat.conftest import make_tenant

    answer = support.get(f"/admin/capabilities/tenant/{make_tenant().pk}/")
    assert (answer.status_code, b"did not answer" in answer.content) == (503, True)


@pytest.mark.parametrize("id", ["old/4711", "a b", "ü"])
def test_somebody_with_an_odd_id_has_a_page_with_what_was_kept(world: World, support: Client, id: str) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.user(world, home)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE users ALTER COLUMN id TYPE text")
        legacy.execute("UPDATE users SET id = %s, email = 'odd@example.org', hashed_password = 'secret hash'", [id])
    builders.migrated(world)
    assert b"odd@example.org" in support.get("/admin/support/?q=odd@example.org").content
    page = support.get(f"/admin/support/{id}/")
    assert page.status_code == 200 and b"odd@example.org" in page.content and b"secret hash" not in page.content


def test_one_person_has_one_address_and_searching_is_on_the_record(world: World, support: Client) -> None:
    copied(world)
    ann = str(User.objects.get().pk)
    for spelled in (ann.upper(), ann.replace("-", ""), "{" + ann + "}"):
        assert support.get(f"/admin/support/{spelled}/")["Location"] == f"/admin/support/{ann}/"
    support.get(f"/admin/support/{ann}/")
    support.get("/admin/support/?q=ann")
    assert list(Event.objects.filter(actor="sue").order_by("id").values_list("verb", "object_id")) == [
        ("view_person", ann), ("search_people", ""),
    ]  # fmt: skip


def test_people_of_the_iam_are_found_while_legacy_is_away(world: World, settings: Any) -> None:
    copied(world)
    settings.LEGACY_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    found, trouble = find("ann")
    assert ([one.user_name for one in found], len(trouble)) == (["ann"], 1)


def test_an_exact_user_name_is_enough(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    for name in ("ann", "joanna"):
        builders.user(world, home, username=name)
    builders.migrated(world)
    call_command("portal", "person", "ann")
    assert "ann" in capsys.readouterr().out
