"""Waves, moves and decisions from a terminal: exit codes, JSON, what to do next."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from flags.models import TenantHome
from migration_portal.cutover import waves
from migration_portal.cutover.models import Stray, Wave
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.runs.advance import advance
from migration_portal.runs.models import Run
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from tests import builders
from tests.cutover.moves import both_loops, moved
from tests.engine.changes import change
from tests.engine.test_errors import work_without_waiting
from tests.stack import furnished
from tests.world import World


def portal(*arguments: str) -> str:
    out = io.StringIO()
    call_command("portal", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, str]:
    """What was printed, and what it was refused with."""
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("portal", *arguments, stdout=out)
    return out.getvalue(), str(error.value)


@furnished
def homes(world: World) -> list[str]:
    builders.legacy_tables(world)
    made = [builders.tenant(world, name=f"Tenant {n}") for n in range(3)]
    for tenant in made:
        builders.user(world, tenant)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return made


@pytest.fixture
def worker(homes: list[str]) -> Iterator[None]:
    """Makes what is requested, as the worker process does."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(0.1):
            work()
            waves.tick()
        connections.close_all()

    thread = threading.Thread(target=loop)
    thread.start()
    yield
    over.set()
    thread.join(30)


def test_a_wave_is_previewed_planned_started_and_waited_for(homes: list[str], worker: None) -> None:
    found = json.loads(portal("wave", "plan", "all", "--percent", "100", "--preview", "--json"))
    assert len(found["tenants"]) == 3 and not Wave.objects.exists()
    told = json.loads(portal("wave", "plan", "all", "--percent", "100", "--unguarded", "--json"))
    assert told["state"] == "planned" and told["next_steps"] == ["manage.py portal wave start all --wait"]
    assert "all: done, 3 of 3 moved" in portal("wave", "start", "all", "--wait", "--reason", "week 1")
    assert "all: done" in portal("wave", "status")


def test_a_wave_with_a_blocked_tenant_ends_with_why(homes: list[str], worker: None, world: World) -> None:
    with world.iam() as iam:
        iam.execute("UPDATE users SET full_name = 'Changed' WHERE tenant_id = %s", [homes[1]])
    portal("wave", "plan", "all", "--percent", "100", "--unguarded")
    printed, why = refused("wave", "start", "all", "--wait", "--json")
    told = json.loads(printed)
    assert (told["moved"], told["blocked"]) == (2, 1) and "2 of 3 tenants have moved" in why
    assert any("differ" in reason for reason in told["blocked_because"])


def test_cut_over_waits_and_says_which_were_blocked(homes: list[str], worker: None, world: World) -> None:
    with world.iam() as iam:
        iam.execute("UPDATE users SET full_name = 'Changed' WHERE tenant_id = %s", [homes[1]])
    printed, why = refused("cut_over", *homes, "--wait", "--json")
    states = {move["tenant"]: move["state"] for move in json.loads(printed)["moves"]}
    assert states == {homes[0]: "done", homes[1]: "blocked", homes[2]: "done"} and "1 of 3" in why
    assert "done" in portal("reverse", homes[0], "--wait", "--reason", "back")


def test_a_dry_run_of_a_move_says_all_and_changes_nothing(homes: list[str], world: World) -> None:
    change(world, "UPDATE users SET bio = 'x' WHERE tenant_id = %s", homes[2])
    with world.iam() as iam:
        iam.execute("UPDATE users SET full_name = 'Changed' WHERE tenant_id = %s", [homes[1]])
    printed, why = refused("cut_over", *homes, "--dry-run", "--json")
    found = {each["tenant"]: each for each in json.loads(printed)["dry_run"]}
    assert [found[tenant]["goes"] for tenant in homes] == [True, False, True] and "1 of 3" in why
    assert found[homes[2]]["waiting"] == 1 and found[homes[1]]["differing"] == {"users": 1}
    assert not TenantHome.objects.filter(home="iam").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("wave", "start", "nobody"), ("wave", "plan", "w", "--rule", "["), ("wave", "plan", "w", "--rule", "[1]"),
        ("wave", "plan", "w", "--percent", "100", "--at", "soon"), ("wave", "plan", "w", "--percent", "100", "--window", "x", "y"),
        ("wave", "plan", "w", "--percent", "101"), ("cut_over", "nobody"), ("cut_over", "nobody", "--dry-run"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(homes: list[str], arguments: tuple[str, ...]) -> None:
    assert refused(*arguments)[1].count(".") >= 1


def test_stray_writes_are_listed_and_decided_in_bulk(homes: list[str], world: World) -> None:
    moved(homes[0])
    change(world, "UPDATE users SET bio = 'astray' WHERE tenant_id = %s", homes[0])
    both_loops()
    assert json.loads(portal("strays", "--json"))["count"] == 1
    assert "needs a reason" in refused("strays", "--accept")[0]
    assert "Decided: 1" in portal("strays", "--restore", "--reason", "the IAM is right", "--table", "users")
    assert Stray.objects.get().state == "restored" and "0 undecided" in portal("strays")


def test_quarantined_rows_are_listed_retried_and_discarded(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.user(world, "00000000-0000-4000-8000-000000000001")
    builders.user(world, "00000000-0000-4000-8000-000000000002")
    dry = builders.migrated(world, dry_run=True)
    assert json.loads(portal("quarantine", "--json"))["count"] == 0  # nothing of it waits for anybody
    assert json.loads(portal("quarantine", "--json", "--run", str(dry.pk)))["count"] >= 2
    builders.migrated(world)
    found = json.loads(portal("quarantine", "--json"))
    assert found["count"] >= 2 and found["rows"][0]["why"]
    change(world, "UPDATE users SET tenant_id = %s WHERE tenant_id LIKE '%%1'", home)
    printed, _ = refused("quarantine", "--retry", "--table", "users")
    assert "Decided: 1" in printed and "still not right" in printed
    portal("quarantine", "--discard", "--reason", "gone")
    assert json.loads(portal("quarantine", "--json"))["count"] == 0


def test_status_says_where_it_stands_and_what_is_next(world: World) -> None:
    assert json.loads(portal("status", "--json"))["next_steps"][0] == "manage.py portal preflight"


def test_status_after_a_dry_run_says_that_nothing_is_copied_yet_and_names_the_plan_again(
    world: World, settings: Any, tmp_path: Path
) -> None:
    plan = tmp_path / "their plan.toml"
    plan.write_text(Path(settings.MIGRATION_PLAN).read_text())
    settings.MIGRATION_PLAN = str(plan)
    world.sample()
    builders.migrated(world, dry_run=True)
    told: Any = json.loads(portal("status", "--json"))
    assert (told["run"], told["dry_run"]["state"]) == (None, "completed")
    assert told["next_steps"] == [f"MIGRATION_PLAN='{plan}' manage.py portal start --capture --wait"]
    assert "Dry run 1 is completed; nothing of it is in the IAM." in portal("status")


def kept_by(world: World, what: str) -> Run:
    """A dry run, after legacy changed its licences beneath it."""
    world.sample()
    run = start(by="tester", dry_run=True)
    advance(run)
    world.sql("legacy", f"ALTER TABLE licenses {what}")
    work_without_waiting(world, run)
    return run


def test_status_says_why_a_dry_run_failed_and_how_the_next_one_may_begin(world: World) -> None:
    assert kept_by(world, "RENAME COLUMN payload TO content").state == State.FAILED
    told: Any = json.loads(portal("status", "--json"))
    assert "payload" in told["failures"][0] and "does not exist" in told["failures"][0]
    assert told["next_steps"] == ["manage.py portal retry 1", "manage.py portal cancel 1 --reason …"]
    assert "Trouble: copy:licenses: " in portal("status")
    assert json.loads(portal("report", 1))["failures"] == told["failures"]
    portal("cancel", 1, "--reason", "the column is called something else")


def test_status_says_what_a_run_waits_for(world: World) -> None:
    assert kept_by(world, "RENAME TO licences").state == State.RUNNING
    assert "licenses" in json.loads(portal("status", "--json"))["failures"][0]


def test_status_of_a_migration_under_way(homes: list[str]) -> None:
    moved(homes[0])
    told: Any = json.loads(portal("status", "--json"))
    assert (told["tenants"], told["in_iam"], told["run"]["state"]) == (3, 1, "completed")
    assert "Tenants in the IAM: 1 of 3" in portal("status")
