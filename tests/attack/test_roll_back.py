"""What strangers did to roll-backs: stopped them while they worked, filled disks, opened doors, took the same names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flags import maintenance
from flags.models import TenantHome
from migration_portal.backups import prune
from migration_portal.backups.models import Backup, Restoration
from migration_portal.cutover import requests
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.refusal import Refusal
from migration_portal.rollback import actions, doors, execute, judge
from migration_portal.rollback.models import RollBack, Step
from migration_portal.rollback.plans import Kind
from tests import builders
from tests.backups.builders import backed_up, checked
from tests.cutover.moves import both_loops, legacy
from tests.rollback.going import agreed, gone_on, others_work, step_of
from tests.servers import drop
from tests.stack import furnished
from tests.world import World


@furnished
def two_tenants(world: World) -> list[str]:
    """In legacy, migrated, with a user each."""
    builders.legacy_tables(world)
    made = [builders.tenant(world, name=name) for name in ("Acme", "Bolt")]
    for tenant, name in zip(made, ("ann", "bob"), strict=True):
        builders.user(world, tenant, username=name)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return made


@pytest.fixture
def stayed(two_tenants: list[str]) -> Iterator[list[str]]:
    yield two_tenants
    for restored in Restoration.objects.all():
        for name in filter(None, (restored.into, restored.kept_as)):
            drop(name)


def cut_over(*tenants: str, wave: str = "pilot") -> None:
    requests.cut_over(list(TenantHome.objects.filter(pk__in=tenants)), by="tester", wave=wave)
    work()


def started(kind: Kind, **options: Any) -> RollBack:
    return execute.start(kind, by="ada", reason="errors", **options)


def validated(side: str) -> Backup:
    backup = backed_up(side)
    checked(backup, 3)
    return backup


def test_stopped_while_a_step_works_it_goes_no_further(stayed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cut_over(*stayed)
    made = started(Kind.IMMEDIATE, wave="pilot")
    real = actions.ACTIONS["stop_ramps"]

    def slow(step: Step) -> str | None:
        execute.stop(RollBack.objects.get(pk=made.pk), by="bea", reason="false alarm")  # another process, meanwhile
        return real(step)

    monkeypatch.setitem(actions.ACTIONS, "stop_ramps", slow)  # type: ignore[arg-type]
    execute.go_on()
    made.refresh_from_db()
    assert made.outcome == "stopped" and not Cutover.objects.filter(home="legacy").exists()


def test_what_was_on_its_way_to_the_iam_stays_or_comes_back(stayed: list[str]) -> None:
    cut_over(stayed[0])
    requests.cut_over([TenantHome.objects.get(pk=stayed[1])], by="tester", wave="pilot")  # queued
    made = gone_on(started(Kind.IMMEDIATE, wave="pilot"))
    assert made.state == "done" and not TenantHome.objects.filter(home="iam").exists()
    assert "is under way" in Cutover.objects.get(tenant=stayed[1]).error


def test_the_matrix_finds_the_wave_of_tenants_that_came_again_without_one(stayed: list[str]) -> None:
    cut_over(*stayed)
    requests.reverse(list(TenantHome.objects.all()), by="t", reason="r")
    work()
    both_loops()
    cut_over(*stayed, wave="")
    assert len(judge._last_wave()) == 2


def test_a_full_disk_is_said_and_can_be_tried_again(
    stayed: list[str],
    backups: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = RollBack.objects.create(kind="full", requested_by="a", reason="b", backup=backed_up("legacy"))
    step = Step.objects.create(of=made, ordinal=1, phase="configuration", action="compare_configuration")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("migration_portal.backups.store.get", full)
        execute.go_on()
    step.refresh_from_db()
    assert step.state == "failed" and "No space left on device" in step.detail
    execute.retry(step, by="ada")
    assert gone_on(made).state == "done"


def test_two_paths_that_end_alike_are_unpacked_apart(
    stayed: list[str],
    backups: Path,
    settings: Any,
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "files").mkdir(parents=True)
        (tmp_path / name / "files" / "licence.pem").write_text(f"of {name}")
    settings.BACKUP_PATHS = {"legacy": [str(tmp_path / "a/files"), str(tmp_path / "b/files")]}
    made = RollBack.objects.create(kind="full", requested_by="a", reason="b", backup=backed_up("legacy"))
    step = Step.objects.create(of=made, ordinal=1, phase="files", action="fetch_files")
    assert "Not as they are now: 0 files" in (actions.ACTIONS["fetch_files"](step) or "")
    place = Path(settings.BACKUP_WORK) / f"roll-back-{made.pk}"
    assert sorted(path.read_text() for path in place.rglob("licence.pem")) == ["of a", "of b"]


def test_a_rehearsal_leaves_nothing_behind_also_when_it_is_stopped(
    world: World,
    stayed: list[str],
    backups: Path,
    settings: Any,
    tmp_path: Path,
) -> None:
    cut_over(*stayed)
    (tmp_path / "private.key").write_text("secret")
    settings.BACKUP_PATHS = {"legacy": [str(tmp_path / "private.key")]}
    backup = validated("legacy")
    made = gone_on(started(Kind.FULL, backup=backup, rehearsal=True))
    assert made.state == "done" and not (Path(settings.BACKUP_WORK) / f"roll-back-{made.pk}").exists()
    other = started(Kind.FULL, backup=backup, rehearsal=True)
    while not Restoration.objects.filter(pk=step_of(other, "restore_backup").data.get("restoration") or 0).exists():
        execute.go_on()
    others_work()
    real = started(Kind.IMMEDIATE, wave="pilot")  # it does not wait for a rehearsal
    other.refresh_from_db()
    assert (other.state, gone_on(real).state) == ("stopped", "done")
    token = backup.place.rpartition("-")[2]
    with world.portal() as server:
        assert not server.execute(
            "SELECT datname FROM pg_database WHERE datname ~ %s", [f"roll_back.*{token}"]
        ).fetchall()


def test_the_backup_that_it_waits_for_is_not_pruned(stayed: list[str], backups: Path, settings: Any) -> None:
    settings.BACKUP_KEEP = 1
    chosen = validated("legacy")
    made = gone_on(started(Kind.FULL, backup=chosen))
    for _ in range(2):
        validated("legacy")
    prune.prune()
    chosen.refresh_from_db()
    assert made.state == "asks" and chosen.removed_at is None
    execute.stop(made, by="ada", reason="enough")
    prune.prune()
    chosen.refresh_from_db()
    assert chosen.removed_at is not None


def test_an_iam_from_before_its_tenants_came_is_not_put_back(stayed: list[str], backups: Path) -> None:
    backup = validated("iam")
    cut_over(*stayed)
    with pytest.raises(Refusal, match="from before 2 tenants came"):
        started(Kind.FULL, backup=backup)


def test_rows_that_cannot_be_told_apart_are_named_and_wait_for_a_person(
    world: World,
    stayed: list[str],
    backups: Path,
) -> None:
    legacy(world, "CREATE TABLE login_log (at timestamptz, who text)")
    backup = validated("legacy")
    legacy(world, "INSERT INTO login_log VALUES (now(), 'ann'); CREATE TABLE invoices (id int PRIMARY KEY)")
    made = agreed(agreed(gone_on(started(Kind.FULL, backup=backup))))
    step = made.step
    assert step is not None and (step.action, step.state) == ("decide_written", "asks")
    assert "public.invoices" in step.detail and "public.login_log" in step.detail


def test_with_open_doors_nothing_is_swapped(stayed: list[str], backups: Path) -> None:
    made = gone_on(started(Kind.FULL, backup=validated("legacy")))
    doors.open_doors(by="bea", reason="I did not know")
    made = agreed(agreed(made))
    step = made.step
    assert step is not None and (step.action, step.state) == ("swap_database", "failed") and "Close them" in step.detail


def test_doors_that_a_person_closed_stay_closed(stayed: list[str], backups: Path) -> None:
    doors.close_doors(by="bea", reason="the data centre moves")
    made = gone_on(started(Kind.FULL, backup=validated("legacy")))
    while made.state == "asks":
        made = agreed(made)
    assert made.state == "done" and maintenance.current() is not None
    assert "bea had closed them before" in step_of(made, "open_doors").detail
