"""Stray writes are listed, and decided one by one."""

from __future__ import annotations

import pytest
from django.conf import settings

from migration_portal.backups.swap import look_at_all
from migration_portal.cutover import resolve
from migration_portal.cutover.models import Stray
from migration_portal.plan.loader import load
from migration_portal.refusal import Refusal
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.world import World


def test_a_stray_write_is_listed_and_not_merged(world: World, home: str) -> None:
    moved(home)
    legacy(world, "UPDATE users SET full_name = 'Stray' WHERE username = 'ann'")
    both_loops()
    stray = Stray.objects.get()
    assert (stray.table_name, stray.direction, stray.what, stray.state) == ("users", "forward", "written", "open")
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Ann Lee",)]


@pytest.mark.parametrize(("verb", "name"), [("accept", "Stray"), ("restore", "Ann Lee")])
def test_a_person_decides_which_side_of_a_stray_write_is_kept(world: World, home: str, verb: str, name: str) -> None:
    moved(home)
    legacy(world, "UPDATE users SET full_name = 'Stray' WHERE username = 'ann'")
    both_loops()
    {"accept": resolve.accept, "restore": resolve.restore}[verb](Stray.objects.get(), by="tester", reason="test")
    both_loops()
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [(name,)]
    assert legacy(world, "SELECT full_name FROM users WHERE username = 'ann'") == [(name,)]
    assert not Stray.objects.filter(state="open").exists()


def test_a_stray_deletion_is_undone_by_restoring_the_row(world: World, home: str) -> None:
    moved(home)
    legacy(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    stray = Stray.objects.get()
    assert stray.what == "deleted"
    resolve.restore(stray, by="tester", reason="test")
    assert legacy(world, "SELECT count(*) FROM users") == [(2,)]


def test_what_another_row_is_in_the_way_of_is_not_called_decided(world: World, home: str) -> None:
    moved(home)
    legacy(world, "UPDATE users SET username = 'zed' WHERE username = 'ann'")
    both_loops()
    builders.user(world, home, username="ann")
    both_loops()
    stray = Stray.objects.order_by("id")[0]
    with pytest.raises(Refusal, match="Another row is in its way"):
        resolve.restore(stray, by="tester", reason="test")
    iam(world, "UPDATE users SET username = 'zed' WHERE username = 'bob'")
    with pytest.raises(Refusal, match="Another row is in its way"):
        resolve.accept(stray, by="tester", reason="test")
    assert Stray.objects.get(pk=stray.pk).state == "open"


def test_a_second_stray_write_to_a_row_is_open_again(world: World, home: str) -> None:
    moved(home)
    for name in ("First", "Second"):
        legacy(world, "UPDATE users SET full_name = %s WHERE username = 'ann'", name)
        both_loops()
        resolve.restore(Stray.objects.get(state="open"), by="tester", reason="test")
    assert Stray.objects.count() == 1


STRAYS = {
    "written": "UPDATE users SET full_name = 'Stray' WHERE username = 'ann'",
    "deleted": "DELETE FROM users WHERE username = 'ann'",
    "added": "INSERT INTO users (id, tenant_id, username, hashed_password) SELECT gen_random_uuid(), id, 'eve', 'x' FROM tenants",
}  # fmt: skip


@pytest.mark.parametrize("statement", STRAYS.values(), ids=STRAYS)
def test_a_stray_write_stays_listed_and_keeps_nobody_from_moving_back(world: World, home: str, statement: str) -> None:
    moved(home)
    legacy(world, statement)
    both_loops()
    assert moved(home, "legacy").error == ""
    assert Stray.objects.get().state == "open"


@pytest.mark.parametrize(("verb", "name"), [("accept", "Stray"), ("restore", "Ann Lee")])
def test_a_stray_write_is_decided_after_its_tenant_moved_back(world: World, home: str, verb: str, name: str) -> None:
    moved(home)
    legacy(world, STRAYS["written"])
    both_loops()
    moved(home, "legacy")
    {"accept": resolve.accept, "restore": resolve.restore}[verb](Stray.objects.get(), by="tester", reason="test")
    both_loops()
    sides = [side(world, "SELECT full_name FROM users WHERE username = 'ann'") for side in (legacy, iam)]
    assert sides == [[(name,)], [(name,)]]


def test_a_row_that_differs_and_is_not_listed_still_blocks_moving_back(world: World, home: str) -> None:
    moved(home)
    legacy(world, STRAYS["written"])
    both_loops()
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        connection.execute("UPDATE users SET full_name = 'tampered' WHERE username = 'bob'")
    assert "1 of its rows differ" in moved(home, "legacy").error


def test_what_legacy_deleted_astray_is_not_deleted_in_the_iam_before_somebody_decides(world: World, home: str) -> None:
    moved(home)
    iam(world, "UPDATE users SET full_name = 'Written in the IAM' WHERE username = 'ann'")
    both_loops()
    legacy(world, STRAYS["deleted"])
    both_loops()
    moved(home, "legacy")
    look_at_all(load(settings.MIGRATION_PLAN))
    both_loops()
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Written in the IAM",)]
    resolve.restore(Stray.objects.order_by("id")[0], by="tester", reason="it was a mistake")
    both_loops()
    assert legacy(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Written in the IAM",)]
