"""What a stranger tried with verification while changes wait, tenants move and plans are revised."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from flags import homes
from migration_portal.catchup import follow as following
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.catchup.revise import revise
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine.verify import continuous, tables, tenants
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Finding, Run
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.catchup.test_revise import plan as plan
from tests.catchup.test_revise import run as run
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.engine.changes import caught_up, change
from tests.world import World

CORRUPTED = "UPDATE users SET bio = 'Corrupted' WHERE id = %s"
HEAD = """
name = "visits"
[[tables]]
source = "teams"
target = "tenants"
key = ["id"]
tenant = "id"
columns = { id = "id", name = "title", slug = "title" }
[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
columns = { id = "id::uuid", tenant_id = "team", username = "login", hashed_password = "'!'" }
"""
VISITS = """
[[tables]]
source = "visits"
target = "visits"
key = ["person", "at"]
tenant_through = { users = "person" }
columns = { person = "person", at = "at", note = "note" }
"""
GRANTS = """
[[tables]]
source = "grants"
target = "user_roles"
key = ["person", "role"]
tenant_through = { users = "user_id" }
columns = { user_id = "person", role_id = { lookup = "roles", by = "name", value = "role" } }
"""
JOBS = """
[[tables]]
source = "people"
target = "jobs"
key = ["id"]
columns = { person = "id::uuid", job = "job" }
"""
PEOPLE = """
CREATE TABLE teams (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL);
CREATE TABLE people (id {} PRIMARY KEY DEFAULT gen_random_uuid(), team uuid NOT NULL, login text NOT NULL, job text DEFAULT 'a');
INSERT INTO teams (title) VALUES ('acme');
INSERT INTO people (team, login) SELECT id, login FROM teams, (VALUES ('ann'), ('bob')) AS p (login);
"""


def foreign(world: World, settings: Any, place: Path, text: str, kind: str = "uuid") -> None:
    legacy(world, PEOPLE.format(kind))
    settings.MIGRATION_PLAN = place / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text)


def unseen(world: World, statement: str, *arguments: Any) -> None:
    """In the IAM, and not captured."""
    with world.iam() as session:
        session.execute("SET portal.applying = 'on'")
        session.execute(statement, arguments)


def two_tenants(world: World, home: str) -> str:
    """One moves, one stays; a user of the one that stays."""
    builders.user(world, home)
    stays = builders.user(world, builders.tenant(world))
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(home).error == ""
    both_loops()
    return stays


def test_a_whole_table_of_the_iam_hides_nothing_of_those_at_home_in_legacy(world: World, home: str) -> None:
    stays = two_tenants(world, home)
    run = Run.objects.get()
    iam(world, "INSERT INTO portal_capture.queue (table_name) VALUES ('users')")
    unseen(world, CORRUPTED, stays)
    verify(run, by="tester")
    builders.finish(run)
    assert [finding.key for finding in Finding.objects.all()] == [[stays]]


def test_nor_from_what_is_compared_again(world: World, home: str) -> None:
    stays = two_tenants(world, home)
    run = Run.objects.get()
    change(world, "UPDATE users SET full_name = 'New' WHERE id = %s", stays)
    caught_up(run)
    unseen(world, CORRUPTED, stays)
    iam(world, "INSERT INTO portal_capture.queue (table_name, attempts) VALUES ('users', 3)")
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {}) == (1, 1)


def test_a_plan_is_revised_between_two_turns_of_the_way_back(
    world: World, plan: Any, run: Run, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan.change('secret = ["hashed', 'lossy = ["full_name"]\nsecret = ["hashed')
    plan.change('last_login = "coalesce(last_login_at, last_login)"', "last_login = \"created_at + interval '1 day'\"")
    revise(run, by="tester", reason="a test")
    assert moved(home).error == ""
    iam(
        world,
        "UPDATE users SET created_at = '2026-01-01Z', last_login = '2026-03-03Z', last_login_at = '2026-03-03Z'",
    )
    both_loops()
    plan.change("last_login = \"created_at + interval '1 day'\"", 'last_login = "coalesce(last_login_at, last_login)"')
    run.refresh_from_db()
    operator = threading.Thread(
        target=lambda: (revise(run, by="tester", reason="a test"), connections.close_all()), daemon=True
    )
    real = following.batches.batch

    def batch(flow: Any, **options: Any) -> Any:
        if operator.ident is None:
            operator.start()
        return real(flow, **options)

    monkeypatch.setattr(following.batches, "batch", batch)
    follow("reverse", seconds=1)
    operator.join()
    both_loops()
    assert legacy(world, "SELECT last_login::date::text FROM users") == [("2026-03-03",)]


def test_a_tenant_that_moves_within_a_turn_makes_no_finding(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = builders.user(world, home)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    change(world, "UPDATE users SET full_name = 'New'")
    real, done = following._rechecked, []

    def rechecked(*given: Any) -> int:
        if not done:
            done.append(moved(home).error)
            iam(world, "UPDATE users SET full_name = 'Newer' WHERE id = %s", user)
        return real(*given)

    monkeypatch.setattr(following, "_rechecked", rechecked)
    follow("forward", seconds=1)
    both_loops()
    assert done == [""] and not Finding.objects.exists()


def test_a_finding_counts_with_the_verification_that_began_meanwhile(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    real, done = following.batches.batch, []

    def batch(flow: Any, **options: Any) -> Any:
        applied = real(flow, **options)
        if not done:
            again = Run.objects.get(pk=run.pk)
            verify(again, by="tester")
            done.append(builders.finish(again).state)
            change(world, "UPDATE users SET full_name = 'New'")
            caught_up(run)
            iam(world, "UPDATE users SET full_name = 'Corrupted' WHERE id = %s", user)
        return applied

    monkeypatch.setattr(following.batches, "batch", batch)
    follow("forward", seconds=1)
    run.refresh_from_db()
    assert (run.verification, run.differing) == (2, 1)


def test_what_differs_otherwise_at_the_second_look_is_asked_again(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New'")
    caught_up(run)
    iam(world, "UPDATE users SET full_name = 'Corrupted' WHERE id = %s", user)
    real, looked = tenants.compare_keys, []

    def compare_keys(*given: Any) -> Any:
        found = real(*given)
        if not looked:
            iam(world, CORRUPTED, user)
        looked.append(found)
        return found

    monkeypatch.setattr(tenants, "compare_keys", compare_keys)
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {}) == (0, 0) and continuous.touched(transfer) == 1
        assert continuous.recheck(transfer, run.verification, {}) == (1, 1)


def test_traffic_that_never_ends_puts_no_finding_off(world: World, home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, busy = builders.user(world, home), builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New'")
    caught_up(run)
    iam(world, "UPDATE users SET full_name = 'Corrupted' WHERE id = %s", bad)
    real = following.batches.batch

    def batch(flow: Any, **options: Any) -> Any:
        applied = real(flow, **options)
        change(world, "UPDATE users SET bio = bio || '.' WHERE id = %s", busy)
        return applied

    monkeypatch.setattr(following.batches, "batch", batch)
    follow("forward", seconds=2)
    assert [finding.key for finding in Finding.objects.all()] == [[bad]]


def test_nor_is_what_was_captured_before_a_look_taken_for_lost(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New'")
    caught_up(run)
    change(world, "UPDATE users SET full_name = 'Newer'")
    looks: continuous.Looks = {}
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, looks) == (0, 0) and len(looks) == 1
        caught_up(run)
        assert continuous.recheck(transfer, run.verification, looks) == (1, 0) and not looks
    assert user and not Finding.objects.exists()


def test_and_by_a_full_verification_however_it_differs(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    iam(world, "UPDATE users SET full_name = 'Corrupted' WHERE id = %s", user)
    real, looked = tables.look_again, []

    def look_again(*given: Any) -> Any:
        found = real(*given)
        looked.append(found)
        iam(world, "UPDATE users SET bio = %s WHERE id = %s", str(len(looked)), user)
        return found

    monkeypatch.setattr(tables, "look_again", look_again)
    verify(run, by="tester")
    builders.finish(run)
    assert {tuple(finding.key) for finding in Finding.objects.all()} == {(user,)} and len(looked) > 2


@pytest.mark.parametrize("was_there", [True, False], ids=["in quarantine", "new"])
def test_a_key_that_cannot_be_cast_and_waits_keeps_nobody_from_being_verified(
    world: World, settings: Any, tmp_path: Path, was_there: bool
) -> None:
    foreign(world, settings, tmp_path, HEAD, "text")
    added = "INSERT INTO people (id, team, login) SELECT 'garbage', id, 'carl' FROM teams"
    if was_there:
        legacy(world, added)
    run = builders.migrated(world, capture=True)
    legacy(world, "UPDATE people SET login = login" if was_there else added)
    iam(world, "UPDATE users SET username = 'corrupted' WHERE username = 'bob'")
    legacy(world, "DELETE FROM portal_capture.queue WHERE key <> ARRAY['garbage']")
    verify(run, by="tester")
    builders.finish(run)
    assert run.state == "completed" and [finding.kind for finding in Finding.objects.all()] == ["differs"]


@pytest.mark.parametrize("value", ["text '100%'", "text '%s'", "true", "timestamptz '2024-01-01 10:00Z'", "float8 '10'",
                                   "interval '1 day'", "bytea '\\x00ff'", "jsonb '{\"a\": 1}'", "'{1,2}'::int[]"])  # fmt: skip
def test_keys_of_any_type_and_text_are_compared_as_the_server_writes_them(
    world: World, settings: Any, tmp_path: Path, value: str
) -> None:
    foreign(world, settings, tmp_path, HEAD.replace("id::uuid", "id") + VISITS)
    legacy(
        world, f"CREATE TABLE visits AS SELECT id AS person, {value.replace('%', '%%')} AS at, 'x' AS note FROM people"
    )
    legacy(world, "ALTER TABLE visits ADD PRIMARY KEY (person, at)")
    [(kind,)] = legacy(world, "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
                              " WHERE attrelid = 'visits'::regclass AND attname = 'at'")  # fmt: skip
    iam(
        world,
        f"CREATE TABLE visits (person uuid REFERENCES users (id), at {kind}, note text, PRIMARY KEY (person, at))",
    )
    run = builders.migrated(world, capture=True)
    assert run.state == "completed"
    legacy(world, "UPDATE visits SET note = 'new'")
    verify(run, by="tester")
    builders.finish(run)
    caught_up(run)
    follow("forward", seconds=0.3)
    assert not Finding.objects.exists() and FlowStatus.objects.get(pk="forward").error == ""
    legacy(world, "UPDATE visits SET note = 'newer'")
    caught_up(run)
    iam(world, "UPDATE visits SET note = 'Corrupted'")
    follow("forward", seconds=0.3)
    assert Finding.objects.count() == 2


def test_what_is_known_of_a_key_need_not_be_its_first_column(world: World, settings: Any, tmp_path: Path) -> None:
    iam(world, "CREATE TABLE jobs (job text, person uuid REFERENCES users (id), PRIMARY KEY (job, person))")
    foreign(world, settings, tmp_path, HEAD + JOBS)
    run = builders.migrated(world, capture=True)
    legacy(world, "UPDATE people SET job = 'b' WHERE login = 'ann'")
    verify(run, by="tester")
    builders.finish(run)
    assert not Finding.objects.exists()
    caught_up(run)
    assert report(run).passed


def test_of_two_ways_to_write_a_key_one_that_waits_is_enough(world: World, home: str) -> None:
    low = builders.user(world, home)
    builders.user(world, home, id=low.upper())
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New'")
    caught_up(run)
    change(world, "UPDATE users SET full_name = 'Newer' WHERE id = %s", low)
    change(world, "UPDATE portal_capture.queue SET attempts = 3")
    with open_transfer(run, "test") as transfer:
        continuous.recheck(replace(transfer, in_iam=homes.in_iam()), run.verification, {})
    assert not Finding.objects.exists()


def test_what_belongs_to_one_of_two_keys_and_to_the_other_makes_no_third(
    world: World, settings: Any, tmp_path: Path
) -> None:
    foreign(world, settings, tmp_path, HEAD.replace("id::uuid", "id") + GRANTS)
    legacy(world, "CREATE TABLE grants (person uuid REFERENCES people, role text, PRIMARY KEY (person, role))")
    legacy(world, "INSERT INTO grants SELECT id, role FROM people, (VALUES ('admin'), ('user')) AS r (role)")
    run = builders.migrated(world, capture=True)
    pair = "(login, role) IN (('ann', 'admin'), ('bob', 'user'))"
    legacy(world, f"UPDATE grants SET role = role FROM people WHERE id = person AND {pair}")
    caught_up(run)
    iam(
        world, "DELETE FROM user_roles AS g USING users u, roles r WHERE u.id = user_id AND r.id = role_id"
        " AND (username, r.name) = ('ann', 'admin')",
    )  # fmt: skip
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {}) == (2, 1)
    assert [finding.kind for finding in Finding.objects.all()] == ["missing"]
