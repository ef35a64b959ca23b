"""Moving tenants to the IAM and back: what each side holds, and who may write, before and after."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from flags.models import TenantHome
from migration_portal.cutover import guard
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine import capture
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.start import start
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.world import World


def test_a_tenant_moves_with_the_changes_that_were_still_waiting(world: World, home: str) -> None:
    legacy(world, "UPDATE users SET full_name = 'Last word' WHERE username = 'ann'")
    done = moved(home)
    assert done.error == ""
    assert TenantHome.objects.get(pk=home).home == "iam"
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Last word",)]
    assert done.hold_ms is not None and done.hold_ms < 5000


def test_writes_in_the_iam_flow_back_and_survive_the_way_back(world: World, home: str) -> None:
    moved(home)
    new = str(uuid.uuid4())
    iam(world, "UPDATE users SET full_name = 'From the IAM' WHERE username = 'ann'")
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'bob')")
    iam(world, "DELETE FROM users WHERE username = 'bob'")
    iam(world, "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (%s, %s, 'eve', 'x')", new, home)
    both_loops()
    assert legacy(world, "SELECT username, full_name FROM users ORDER BY 1") == [("ann", "From the IAM"), ("eve", None)]
    assert moved(home, "legacy").state == "done"
    legacy(world, "UPDATE users SET full_name = 'At home again' WHERE username = 'ann'")
    both_loops()
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("At home again",)]


def test_nothing_echoes_between_the_two_directions(world: World, home: str) -> None:
    moved(home)
    iam(world, "UPDATE users SET full_name = 'Once' WHERE username = 'ann'")
    both_loops()
    with world.legacy() as theirs, world.iam() as ours:
        assert capture.lag(theirs).entries == capture.lag(ours).entries == 0


def test_an_open_transaction_aborts_the_cut_over_at_its_deadline(world: World, home: str, settings: Any) -> None:
    settings.CUTOVER_HOLD_SECONDS = 0.5
    guard.switch(on=True, by="tester")
    with world.legacy() as writer, writer.transaction():
        writer.execute("UPDATE users SET bio = 'slow'")
        done = moved(home)
    assert done.state == "blocked" and "did not pause" in done.error
    assert TenantHome.objects.get(pk=home).home == "legacy"
    assert legacy(world, "UPDATE users SET bio = 'still here'") == 2
    both_loops()
    assert moved(home).state == "done"


def test_a_run_and_an_undo_wait_until_every_tenant_is_back(world: World, home: str) -> None:
    from migration_portal.runs.undo import undo

    moved(home)
    with pytest.raises(Refusal, match="at home in the IAM"):
        start(by="tester")
    with pytest.raises(Refusal, match="at home in the IAM"):
        undo(Run.objects.get(), by="tester", reason="test")


def test_verifying_again_passes_while_tenants_live_on_both_sides(world: World, home: str) -> None:
    from migration_portal.runs.report import report
    from migration_portal.runs.verify import verify

    builders.user(world, builders.tenant(world))
    both_loops()
    sync_tenants()
    moved(home)
    iam(world, "UPDATE users SET failed_login_attempts = 3, bio = 'new' WHERE username = 'ann'")
    iam(
        world,
        "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (gen_random_uuid(), %s, 'eve', 'x')",
        home,
    )
    iam(
        world,
        "INSERT INTO user_roles (user_id, role_id) SELECT id, '00000000-0000-4000-8000-000000000002'"
        " FROM users WHERE username = 'eve'",
    )
    both_loops()
    run = Run.objects.get()
    verify(run, by="tester")
    builders.finish(run)
    assert [c for c in report(run).checks if c["severity"] == "error"] == []
    assert report(run).passed


def test_a_user_born_in_the_iam_has_its_role_after_the_way_back(world: World, home: str) -> None:
    moved(home)
    iam(
        world,
        "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (gen_random_uuid(), %s, 'eve', 'x')",
        home,
    )
    both_loops()
    moved(home, "legacy")
    both_loops()
    roles = "SELECT count(*) FROM user_roles JOIN users ON users.id = user_id WHERE username = 'eve'"
    assert iam(world, roles) == [(1,)]
