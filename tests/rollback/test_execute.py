"""Roll-backs as they are carried out: step by step, asking, failing, resumed, rehearsed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from flags import homes, maintenance
from flags.models import Flag, Maintenance, Ramp, TenantHome
from migration_portal.backups.models import Backup
from migration_portal.cutover import requests
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.monitoring.models import Heartbeat
from migration_portal.refusal import Refusal
from migration_portal.rollback import doors, execute, moving, validating
from migration_portal.rollback.log import log_of
from migration_portal.rollback.models import RollBack, Step
from migration_portal.rollback.plans import Kind
from migration_portal.runs.models import Run
from tests import builders
from tests.backups.builders import backed_up
from tests.cutover.moves import both_loops, iam, legacy
from tests.rollback.going import agreed, gone_on, states, step_of
from tests.stack import furnished
from tests.world import World, eventually


@furnished
def moved(world: World) -> list[str]:
    """Two tenants in the IAM, of one wave, with a user each; and one that stayed."""
    builders.legacy_tables(world)
    made = [builders.tenant(world, name=name) for name in ("Acme", "Bolt", "Cole")]
    for tenant, name in zip(made, ("ann", "bob", "cem"), strict=True):
        builders.user(world, tenant, username=name)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    requests.cut_over(list(TenantHome.objects.filter(pk__in=made[:2])), by="tester", wave="pilot")
    work()
    assert TenantHome.objects.filter(home="iam").count() == 2
    return made


def started(kind: Kind, **options: Any) -> RollBack:
    return execute.start(kind, by="ada", reason="errors", **options)


def names_in_legacy(world: World) -> dict[str, str]:
    return dict(legacy(world, "SELECT username, full_name FROM users"))


def test_an_immediate_one_brings_a_wave_back_with_what_it_wrote(world: World, moved: list[str]) -> None:
    iam(world, "UPDATE users SET full_name = 'Since' WHERE username = 'ann'")
    flag = Flag.objects.get(name="oauth2_enabled")
    Ramp.objects.create(flag=flag, steps=["50"], hours=1, next_at=timezone.now(), by="t", reason="t")
    made = gone_on(started(Kind.IMMEDIATE, wave="pilot"))
    assert made.state == "done" and not TenantHome.objects.filter(home="iam").exists()
    assert names_in_legacy(world)["ann"] == "Since"
    assert states(made) == {
        "stop_ramps": "done", "reverse_tenants": "done", "check_services": "done", "check_sign_in": "not needed",
        "compare_tenants": "done", "notify": "done",
    }  # fmt: skip
    assert Ramp.objects.get().state == "stopped"


def test_another_wave_stays_where_it_is(moved: list[str]) -> None:
    TenantHome.objects.filter(pk=moved[0]).update(wave="earlier")
    gone_on(started(Kind.IMMEDIATE, wave="pilot"))
    assert [home.pk for home in TenantHome.objects.filter(home="iam")] == [moved[0]]


def test_the_log_is_filled_by_the_execution(moved: list[str]) -> None:
    made = started(Kind.IMMEDIATE, wave="pilot")
    execute.note(made, "called the customer", by="bea")
    log = log_of(gone_on(made))
    assert (log["Triggered by"], log["Reason"], log["Type"]) == ("ada", "errors", "immediate")
    assert log["Components"] == "Move tenants back to legacy" and "called the customer" in log["Notes"]
    assert "Tenants are equal on both sides: done. Equal on both sides: 2 tenants." in log["Verification"]


def test_the_database_only_asks_before_it_undoes(moved: list[str], world: World) -> None:
    made = gone_on(started(Kind.DATABASE))
    assert made.step is not None and (made.step.action, made.state) == ("undo_run", "asks")
    assert iam(world, "SELECT count(*) FROM users") == [(3,)] and not TenantHome.objects.filter(home="iam").exists()
    made = agreed(made)
    assert made.state == "done" and Run.objects.get().state == "undone"
    assert iam(world, "SELECT count(*) FROM users") == [(0,)]
    assert "Undo what the run copied: agreed to by ada: go ahead" in log_of(made)["Notes"]


def test_features_go_off_for_everybody(rolled_back: World) -> None:
    with pytest.raises(Refusal, match="No feature was chosen"):
        started(Kind.PARTIAL)
    with pytest.raises(Refusal, match="There is no feature nonsense"):
        started(Kind.PARTIAL, features=["nonsense"])
    made = gone_on(started(Kind.PARTIAL, features=["oauth2_enabled"]))
    assert made.state == "done" and Flag.objects.get(name="oauth2_enabled").killed


def test_one_at_a_time(rolled_back: World) -> None:
    Heartbeat.objects.create(name="queue celery", at=timezone.now() - timezone.timedelta(hours=1))
    started(Kind.PARTIAL, features=["oauth2_enabled"])
    with pytest.raises(Refusal, match="It is under way"):
        started(Kind.GRADUAL)


def test_a_step_that_fails_is_tried_again_or_skipped_by_a_person(rolled_back: World) -> None:
    beat = Heartbeat.objects.create(name="queue celery", at=timezone.now() - timezone.timedelta(hours=1))
    Heartbeat.objects.create(name="queue follow", at=timezone.now())
    made = gone_on(started(Kind.FRONT_END, features=["oauth2_enabled"]))
    assert made.state == "failed" and made.step is not None and "No heartbeat" in made.step.detail
    conditions = list(execute.conditions())
    assert [each.severity for each in conditions] == ["critical"] and "No heartbeat" in conditions[0].what
    with pytest.raises(Refusal, match="needs a reason"):
        execute.skip(made.step, by="ada", reason=" ")
    Heartbeat.objects.filter(pk=beat.pk).update(at=timezone.now())
    execute.retry(made.step, by="ada")
    assert gone_on(made).state == "done" and not list(execute.conditions())


def test_what_comes_back_by_itself_is_waited_for(rolled_back: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validating, "_SETTLING", timezone.timedelta(minutes=1))
    beat = Heartbeat.objects.create(name="queue celery", at=timezone.now() - timezone.timedelta(hours=1))
    Heartbeat.objects.create(name="queue follow", at=timezone.now())
    made = started(Kind.FRONT_END, features=["oauth2_enabled"])
    for _ in range(2):
        execute.go_on()
    assert made.state == "running" and made.step is not None and made.step.detail.startswith("Not yet. Workers of")
    Heartbeat.objects.filter(pk=beat.pk).update(at=timezone.now())
    assert gone_on(made).state == "done"


def test_a_tenant_that_cannot_be_moved_is_named_and_the_others_are_back(world: World, moved: list[str]) -> None:
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        connection.execute("UPDATE users SET full_name = 'tampered' WHERE username = 'ann'")
    made = gone_on(started(Kind.IMMEDIATE, wave="pilot"))
    step = made.step
    assert step is not None and step.state == "failed" and "Could not be moved: 1. Acme: " in step.detail
    assert [home.pk for home in TenantHome.objects.filter(home="iam")] == [moved[0]]
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        connection.execute("UPDATE users SET full_name = 'Ann Lee' WHERE username = 'ann'")
    execute.retry(step, by="ada")
    made = gone_on(made)
    assert made.state == "done" and "2 tenants" in step_of(made, "compare_tenants").detail


def test_stopping_leaves_the_doors_closed_and_says_so(rolled_back: World) -> None:
    made = started(Kind.GRADUAL)
    doors.close_doors(by="ada", reason="a disaster")
    execute.stop(made, by="ada", reason="not needed after all")
    execute.go_on()
    made.refresh_from_db()
    assert made.state == "stopped" and maintenance.current() is not None
    assert [each.what for each in execute.conditions()] == ["The doors are closed to writes: a disaster"]
    with pytest.raises(Refusal, match="It has ended"):
        execute.stop(made, by="ada", reason="again")


def test_a_full_one_needs_a_validated_backup_of_legacy_or_the_iam(rolled_back: World) -> None:
    level_1 = Backup.objects.create(side="legacy", place="x", requested_by="t", level=1, finished_at=timezone.now())
    of_portal = Backup.objects.create(side="portal", place="y", requested_by="t", level=3, finished_at=timezone.now())
    for backup in (None, level_1, of_portal):
        with pytest.raises(Refusal, match="validated backup"):
            started(Kind.FULL, backup=backup)


def test_a_rehearsal_touches_nothing_that_anybody_uses(world: World, moved: list[str], backups: Path) -> None:
    backup = backed_up("legacy")
    Backup.objects.filter(pk=backup.pk).update(level=3)
    backup.refresh_from_db()
    legacy(world, "UPDATE users SET full_name = 'Since' WHERE username = 'cem'")
    both_loops()
    before = databases(world)
    made = gone_on(started(Kind.FULL, backup=backup, rehearsal=True))
    assert made.state == "done", (made.step, made.step and made.step.detail)
    assert databases(world) == before and maintenance.current() is None
    assert TenantHome.objects.filter(home="iam").count() == 2 and not Cutover.objects.filter(home="legacy").exists()
    assert step_of(made, "list_written").detail == "Would have to be decided: 1 rows of 1 tenants."
    assert "Would move 2 tenants" in step_of(made, "reverse_tenants").detail
    assert names_in_legacy(world)["cem"] == "Since"


def databases(world: World) -> set[str]:
    """Of this world, and those that its backups were restored into: others' come and go on the same server."""
    restored = "|".join(backup.place.rpartition("-")[2] for backup in Backup.objects.all()) or "none"
    with world.portal() as server:
        ours = f"^({world.name}_|roll_back_[0-9]+_({restored})_)"
        found = server.execute("SELECT datname FROM pg_database WHERE datname ~ %s", [ours])
        return {name for (name,) in found}


def test_the_doors_count_as_closed_once_no_request_that_writes_is_left(world: World) -> None:
    made = started(Kind.GRADUAL)
    step = Step.objects.create(of=made, ordinal=9, phase="maintenance", action="close_doors")
    with world.portal() as request:  # as a web process does for a tenant that it writes to
        request.execute("SELECT pg_advisory_lock_shared(%s, 7)", [homes.LOCK_CLASS])
        assert moving.close_doors(step) is None
        Maintenance.objects.update(began_at=timezone.now() - timezone.timedelta(minutes=1))
        assert moving.close_doors(step) is None
    eventually(maintenance.quiet, 10)
    assert moving.close_doors(step) == "Writes are answered with 503 and Retry-After; reads go on."
