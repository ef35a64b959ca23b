"""Keys of several columns: what belongs to one of two keys and to the other makes no third."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from migration_portal.engine.verify import continuous
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Finding
from tests import builders
from tests.cutover.moves import iam, legacy
from tests.engine.changes import caught_up
from tests.world import World

PLAN = """
name = "pairs"
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
columns = { id = "id", tenant_id = "team", username = "login", hashed_password = "'!'" }

[[tables]]
source = "grants"
target = "user_roles"
key = ["person", "role"]
tenant_through = { users = "user_id" }
columns = { user_id = "person", role_id = { lookup = "roles", by = "name", value = "role" } }
"""
TABLES = """
CREATE TABLE teams (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL);
CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), team uuid NOT NULL, login text NOT NULL);
CREATE TABLE grants (person uuid REFERENCES people, role text, PRIMARY KEY (person, role));
INSERT INTO teams (title) VALUES ('acme');
INSERT INTO people (team, login) SELECT id, login FROM teams, (VALUES ('ann'), ('bob')) AS p (login);
INSERT INTO grants SELECT id, role FROM people, (VALUES ('admin'), ('user')) AS r (role)
"""


def test_what_was_not_touched_is_no_difference(world: World, settings: Any, tmp_path: Path) -> None:
    legacy(world, TABLES)
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(PLAN)
    run = builders.migrated(world, capture=True)
    pair = "(login, role) IN (('ann', 'admin'), ('bob', 'user'))"
    legacy(world, f"UPDATE grants SET role = role FROM people WHERE id = person AND {pair}")
    caught_up(run)
    iam(
        world, "DELETE FROM user_roles AS g USING users u, roles r WHERE u.id = user_id AND r.id = role_id"
        " AND (username, r.name) = ('ann', 'admin')",
    )  # fmt: skip
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification) == (2, 1)
    assert [finding.kind for finding in Finding.objects.all()] == ["missing"]
