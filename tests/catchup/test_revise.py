"""Revising a run's plan: the way back and what is only told, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from migration_portal.audit.models import Event
from migration_portal.catchup.revise import revise
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.plan.errors import PlanError
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.undo import undo
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.world import World


class _File:
    """The plan file."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        path.write_text(text)

    def change(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new, 1))


@pytest.fixture
def plan(settings: Any, tmp_path: Path) -> _File:
    """Names are trimmed on the way to the IAM."""
    made = _File(tmp_path / "plan.toml", Path(settings.MIGRATION_PLAN).read_text())
    made.change('full_name = "full_name"', 'full_name = "btrim(full_name)"')
    settings.MIGRATION_PLAN = made.path
    return made


@pytest.fixture
def run(world: World, plan: _File, home: str) -> Run:
    builders.user(world, home, full_name=" Ann")
    made = builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return made


def test_what_is_accepted_by_name_later_lets_a_tenant_leave(world: World, plan: _File, run: Run, home: str) -> None:
    assert "users.full_name would come back as something else" in moved(home).error
    plan.change('secret = ["hashed', 'lossy = ["full_name"]\nsecret = ["hashed')
    call_command("portal", "revise_plan", str(run.pk), "--reason", "they agreed")
    event = Event.objects.get(verb="revise_plan")
    assert event.reason == "they agreed" and event.data["table"] == "users"
    assert moved(home).error == ""


def test_a_reverse_expression_is_corrected_while_tenants_are_away(
    world: World, plan: _File, run: Run, home: str
) -> None:
    plan.change('secret = ["hashed', 'lossy = ["full_name"]\nsecret = ["hashed')
    revise(run, by="tester", reason="test")
    assert moved(home).error == ""
    plan.change('last_login = "coalesce(last_login_at, last_login)"', "last_login = \"created_at + interval '1 day'\"")
    run.refresh_from_db()
    assert revise(run, by="tester", reason="test") == ["users"]
    iam(world, "UPDATE users SET created_at = '2026-01-01Z'")
    both_loops()
    assert legacy(world, "SELECT last_login::date::text, full_name FROM users") == [("2026-01-02", " Ann")]


def test_what_came_back_wrong_comes_back_again(world: World, plan: _File, run: Run, home: str) -> None:
    plan.change('secret = ["hashed', 'lossy = ["full_name"]\nsecret = ["hashed')
    plan.change('last_login = "coalesce(last_login_at, last_login)"', "last_login = \"created_at + interval '1 day'\"")
    revise(run, by="tester", reason="test")
    assert moved(home).error == ""
    iam(world, "UPDATE users SET created_at = '2026-01-01Z', last_login = '2026-03-03Z', last_login_at = '2026-03-03Z'")
    both_loops()
    assert legacy(world, "SELECT last_login::date::text FROM users") == [("2026-01-02",)]
    plan.change("last_login = \"created_at + interval '1 day'\"", 'last_login = "coalesce(last_login_at, last_login)"')
    run.refresh_from_db()
    revise(run, by="tester", reason="test")
    both_loops()
    assert legacy(world, "SELECT last_login::date::text FROM users") == [("2026-03-03",)]
    assert moved(home, "legacy").error == ""


def test_what_leads_back_is_settled_once_tenants_could_have_moved(
    world: World, plan: _File, run: Run, home: str
) -> None:
    plan.change('secret = ["hashed', 'lossy = ["full_name"]\nsecret = ["hashed')
    revise(run, by="tester", reason="test")
    assert moved(home).error == ""
    run.refresh_from_db()
    whole = plan.path.read_text()
    start = whole.index("[tables.reverse]", whole.index('source = "tenant_settings"'))
    plan.path.write_text(whole[:start] + whole[whole.index("[[tables]]", start) :])
    with pytest.raises(PlanError, match="Which tables have a way back is settled"):
        revise(run, by="tester", reason="test")
    plan.path.write_text(whole.replace('last_login = "coalesce(last_login_at, last_login)"\n', "", 1))
    with pytest.raises(PlanError, match="Reversing would lose: users: last_login"):
        revise(run, by="tester", reason="test")


def test_what_rows_become_stays_as_the_run_began(plan: _File, run: Run) -> None:
    plan.change('bio = "bio"', 'bio = "upper(bio)"')
    with pytest.raises(PlanError, match="More than reverse sections and quality rules changed: users"):
        revise(run, by="tester", reason="test")


def test_a_way_back_that_would_not_work_is_refused(plan: _File, run: Run) -> None:
    plan.change('last_login = "coalesce(last_login_at, last_login)"', 'last_login = "nothing"')
    with pytest.raises(PlanError, match="reverse expression fails.*nothing"):
        revise(run, by="tester", reason="test")


def test_a_plan_that_did_not_change_or_a_run_that_is_over_is_told(plan: _File, run: Run) -> None:
    with pytest.raises(Refusal, match="as the run began"):
        revise(run, by="tester", reason="test")
    with pytest.raises(Refusal, match="needs a reason"):
        revise(run, by="tester", reason=" ")
    undo(run, by="tester", reason="test")
    builders.finish(run)
    with pytest.raises(Refusal, match="It is over"):
        revise(run, by="tester", reason="test")
