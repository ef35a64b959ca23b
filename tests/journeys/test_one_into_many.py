"""A view that makes many rows of one: a change of the one names none of the many, and reaches them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration_portal.cutover import guard
from migration_portal.cutover.models import Stray
from migration_portal.cutover.resolve import accept, on_both_sides, restore
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine.verify import continuous
from migration_portal.inventory.preflight import preflight
from migration_portal.refusal import Refusal
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.engine.changes import caught_up, same
from tests.world import World

MANY = """
name = "many"
[[tables]]
source = "teams"
target = "tenants"
key = ["id"]
tenant = "id"
[tables.columns]
id = "id"
name = "title"
slug = "title"
[tables.reverse]
id = "id"
title = "name"

[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
ignored = ["roles"]
[tables.columns]
id = "id"
tenant_id = "team"
username = "login"
hashed_password = "'!'"
[tables.reverse]
id = "id"
team = "tenant_id"
login = "username"

[[tables]]
source = "grants"
view = true
target = "user_roles"
key = ["person", "role"]
tenant_through = { users = "user_id" }
[tables.columns]
user_id = "person"
role_id = { lookup = "roles", by = "name", value = "role" }
"""

CAPTURED = f'{MANY}\n[tables.reads.people]\nlink = {{ id = "person" }}\ntenant = "team"\n'
"""With what a captured change leads by."""


ROLES_IN_A_COLUMN = """
CREATE TABLE teams (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL);
CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), team uuid NOT NULL, login text NOT NULL, roles text);
CREATE VIEW grants AS SELECT id AS person, btrim(role) AS role FROM people, unnest(string_to_array(roles, ',')) AS role;
INSERT INTO teams (title) VALUES ('acme');
INSERT INTO people (team, login, roles) SELECT teams.id, login, roles FROM teams, (VALUES ('ann', 'admin, user'),
    ('bob', 'user,guest'), ('cem', NULL)) AS p (login, roles)
"""


def test_one_row_becomes_many_by_a_view(world: World, settings: Any, tmp_path: Path) -> None:
    legacy(world, ROLES_IN_A_COLUMN)
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(MANY)
    assert [each["subject"] for each in preflight()["findings"] if each["what"] == "Rows to quarantine: 1."] == [
        "user_roles: role_id_not_found"
    ]
    run = builders.migrated(world)
    found = report(run)
    assert found.accounted and found.tables["user_roles"].reasons == {"role_id_not_found": 1}
    assert set(
        iam(
            world,
            "SELECT username, r.name FROM user_roles JOIN users u ON u.id = user_id JOIN roles r ON r.id = role_id",
        )
    ) == {("ann", "admin"), ("ann", "user"), ("bob", "user")}
    assert same(run)
    undo(run, by="tester", reason="a test")
    assert builders.finish(run).state == State.UNDONE
    assert iam(world, "SELECT count(*) FROM user_roles") == [(0,)]
    captured = builders.migrated(world, capture=True)
    assert captured.state == State.FAILED
    assert "It is made of people" in iam(world, "SELECT error FROM portal_ledger.chunks WHERE error <> ''")[0][0]


@pytest.fixture
def plan(settings: Any, tmp_path: Path) -> str:
    """With what a captured change leads by."""
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(CAPTURED)
    return CAPTURED


@pytest.fixture
def run(world: World, plan: str) -> Run:
    legacy(world, ROLES_IN_A_COLUMN)
    made = builders.migrated(world, capture=True)
    assert made.state == State.COMPLETED, made.failures
    return made


def roles(world: World, name: str = "") -> set[Any]:
    """Who has which role in the IAM, or which this one has."""
    named = "SELECT username, r.name FROM user_roles JOIN users u ON u.id = user_id JOIN roles r ON r.id = role_id"
    found = set(iam(world, named))
    return {role for who, role in found if who == name} if name else found


def test_changes_of_the_one_reach_the_many(world: World, run: Run) -> None:
    legacy(world, "UPDATE people SET roles = 'guest, user' WHERE login = 'ann'")
    legacy(world, "UPDATE people SET roles = 'user' WHERE login = 'cem'")
    legacy(world, "INSERT INTO people (team, login, roles) SELECT id, 'dan', 'admin,user' FROM teams")
    legacy(world, "DELETE FROM people WHERE login = 'bob'")
    both_loops()
    assert roles(world) == {("ann", "user"), ("cem", "user"), ("dan", "admin"), ("dan", "user")}
    assert same(run)
    assert report(run).tables["user_roles"].reasons == {"role_id_not_found": 1}


def test_a_role_that_the_iam_gave_stays_when_the_others_change(world: World, run: Run) -> None:
    iam(
        world, "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
        " WHERE username = 'bob' AND r.name = 'admin'",
    )  # fmt: skip
    legacy(world, "UPDATE people SET roles = 'guest' WHERE login = 'bob'")
    both_loops()
    assert roles(world, "bob") == {"admin"}


def test_one_that_is_rejected_and_comes_right_leaves_quarantine(world: World, run: Run) -> None:
    legacy(world, "UPDATE people SET roles = 'user,gast' WHERE login = 'bob'")
    both_loops()
    assert [row.source_key[1] for row in QuarantinedRow.objects.filter(state="open")] == ["gast"]
    legacy(world, "UPDATE people SET roles = 'user,admin' WHERE login = 'bob'")
    both_loops()
    assert not QuarantinedRow.objects.filter(state="open").exists()
    assert roles(world, "bob") == {"user", "admin"}


def test_a_change_of_the_one_that_waits_makes_no_difference_of_the_many(world: World, run: Run) -> None:
    legacy(world, "UPDATE people SET roles = 'admin' WHERE login IN ('ann', 'bob')")
    legacy(world, "UPDATE portal_capture.queue SET attempts = 3, not_before = now() + interval '1 hour'")
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'cem')")
    verify(run, by="tester")
    builders.finish(run)
    assert not Finding.objects.exists()


def test_what_was_brought_is_compared_again_row_by_row(world: World, run: Run) -> None:
    legacy(world, "UPDATE people SET roles = 'user, admin' WHERE login IN ('ann', 'bob')")
    caught_up(run)
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'ann')")
    with open_transfer(run, "test") as transfer:
        while continuous.touched(transfer):
            continuous.recheck(transfer, run.verification, {})
    found = Finding.objects.filter(table_name="user_roles").values_list("kind", "key")
    ann = str(iam(world, "SELECT id FROM users WHERE username = 'ann'")[0][0])
    assert [(kind, key[0]) for kind, key in found] == [("missing", ann)] * 2


def test_one_of_the_many_waits_with_the_change_of_the_one(world: World, run: Run) -> None:
    legacy(world, "UPDATE people SET roles = 'admin' WHERE login = 'bob'")
    caught_up(run)
    legacy(world, "UPDATE people SET roles = 'user' WHERE login = 'bob'")
    legacy(world, "UPDATE portal_capture.queue SET attempts = 3, not_before = now() + interval '1 hour'")
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {})[1] == 0
        assert continuous.touched(transfer) > 0


def test_who_has_moved_keeps_the_iams_roles_and_what_legacy_changed_is_listed(world: World, run: Run) -> None:
    builders.decided()
    sync_tenants()
    [(team,)] = legacy(world, "SELECT id::text FROM teams")
    both_loops()
    guard.switch(on=False, by="tester")
    assert moved(team).state == "done", moved(team).error
    legacy(world, "UPDATE people SET roles = 'user' WHERE login = 'ann'")
    legacy(world, "UPDATE people SET roles = 'user,admin' WHERE login = 'bob'")
    both_loops()
    assert roles(world, "ann") == {"admin", "user"} and roles(world, "bob") == {"user"}
    listed = {(stray.what, stray.key[1]) for stray in Stray.objects.filter(table_name="grants", state="open")}
    assert listed >= {("deleted", None), ("written", "admin")}
    gone, new = Stray.objects.get(what="deleted", table_name="grants"), Stray.objects.get(key__1="admin")
    assert str(gone).endswith(", any") and on_both_sides(gone) == []
    accept(gone, by="tester", reason="a test")
    assert roles(world, "ann") == {"user"} and roles(world, "bob") == {"user"}
    with pytest.raises(Refusal, match="no way back"):
        restore(new, by="tester", reason="a test")
    accept(new, by="tester", reason="a test")
    assert roles(world, "bob") == {"user", "admin"}


NUMBERED = """;
DROP VIEW grants;
CREATE VIEW grants AS SELECT id AS person, n, btrim(role) AS role
FROM people, unnest(string_to_array(roles, ',')) WITH ORDINALITY AS r (role, n)
"""


ONE = """;
ALTER TABLE people ADD one text;
UPDATE people SET one = CASE login WHEN 'ann' THEN 'admin' WHEN 'bob' THEN 'user' ELSE 'guest' END
"""


@pytest.mark.parametrize(
    ("view", "becomes", "why"),
    [
        (
            ONE, {'value = "role"': "value = \"CASE WHEN person IS NOT NULL THEN role END\"", 'id = "person" }': 'one = "role" }'},
            "nothing of the IAM's key",
        ),
        (NUMBERED, {'key = ["person", "role"]': 'key = ["person", "n"]'}, "could not be told from others"),
    ],
    ids=["nothing follows from the link", "the key says too little"],
)  # fmt: skip
def test_what_could_not_be_followed_is_told_and_keeps_a_run_from_capturing(
    world: World, settings: Any, plan: str, view: str, becomes: dict[str, str], why: str
) -> None:
    legacy(world, ROLES_IN_A_COLUMN + view)
    for was, text in becomes.items():
        plan = plan.replace(was, text)
    settings.MIGRATION_PLAN.write_text(plan)
    told = [each["what"] for each in preflight()["findings"] if each["subject"] == "capture: user_roles"]
    assert len(told) == 1 and why in told[0]
    failed = builders.migrated(world, capture=True)
    assert failed.state == State.FAILED and why in failed.failures[0]
