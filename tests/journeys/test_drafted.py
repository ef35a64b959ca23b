"""Schemas that everybody knows, by plans as they are drafted: dry run, run, live writes, cut-over, writes there, back, undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.drafting.schemas import drafted
from tests.journeys.other_schemas import of_keycloak
from tests.world import World

DECIDED = (
    # What the IAM does not have stays in legacy, and what is read by name or by kind has no way back: on purpose.
    ("# Mapped nowhere: client_realm_constraint, client_role, realm_id, client. ",
     'ignored = ["client_realm_constraint", "client_role", "realm_id", "client"]\n# '),
    ("# Mapped nowhere: email_constraint, federation_link, service_account_client_link, not_before. ",
     'ignored = ["email_constraint", "federation_link", "service_account_client_link", "not_before"]\n'
     'lossy = ["first_name", "last_name"]\n# '),
    ('[tables.reads.user_attribute]\n', '[tables.reads.user_attribute]\nignored = ["id", "name", "value"]\n'),
    ('[tables.reads.credential]\n',
     '[tables.reads.credential]\nignored = ["id", "salt", "type", "secret_data", "credential_data"]\n'),
)  # fmt: skip


@pytest.fixture
def realms(world: World, settings: Any, tmp_path: Path) -> list[str]:
    settings.MIGRATION_PLAN = drafted(world, "keycloak", tmp_path, *DECIDED)
    return [row[0] for row in legacy(world, "SELECT id FROM realm ORDER BY name")]


def _writes(world: World, realm: str) -> None:
    """To every table of one realm's."""
    [(id,)] = legacy(world, "SELECT id FROM user_entity WHERE realm_id = %s ORDER BY username LIMIT 1", realm)
    legacy(world, "UPDATE realm SET name = name || ' now' WHERE id = %s", realm)
    legacy(
        world, "UPDATE user_entity SET email = username || '@new.example.org', enabled = NOT enabled WHERE id = %s", id
    )
    legacy(world, 'UPDATE credential SET secret_data = \'{"value": "changed", "salt": "AAAA"}\' WHERE user_id = %s', id)
    legacy(world, "UPDATE user_attribute SET value = '+1 555 0100' WHERE user_id = %s AND name = 'phone'", id)
    legacy(world, "UPDATE keycloak_role SET description = 'all of them' WHERE realm = %s", realm)
    legacy(world, "DELETE FROM user_role_mapping WHERE user_id = %s", id)
    legacy(
        world, "INSERT INTO user_entity (id, username, email, enabled, first_name, last_name, realm_id, created_timestamp)"
        " VALUES (gen_random_uuid()::text, 'late', 'late@example.org', true, 'Lee', 'Late', %s, 1700000000000)", realm,
    )  # fmt: skip
    legacy(
        world, "INSERT INTO credential (id, type, user_id, secret_data, credential_data)"
        " SELECT gen_random_uuid()::text, 'password', id, '{\"value\": \"dmFs\", \"salt\": \"c2Fs\"}',"
        " '{\"hashIterations\": 1, \"algorithm\": \"pbkdf2-sha256\"}' FROM user_entity WHERE username = 'late'",
    )  # fmt: skip


def test_keycloaks_tables_go_there_and_back_by_a_drafted_plan(world: World, realms: list[str]) -> None:
    dry = report(builders.migrated(world, dry_run=True))
    assert dry.passed and dry.tables["users"].copied == 300
    run = builders.migrated(world, capture=True)
    assert report(run).passed and of_keycloak(world) == set()
    sync_tenants()
    for realm in realms:
        _writes(world, realm)
        legacy(world, "UPDATE user_entity SET username = 'late ' || realm_id WHERE username = 'late'")
    both_loops()
    assert of_keycloak(world) == set()
    first = realms[0]
    assert moved(first).error == ""
    [(zoe,)] = iam(
        world, "INSERT INTO users (tenant_id, username, email, hashed_password, full_name, is_active, email_verified, created_at)"
        " VALUES (%s, 'zoe', 'zoe@example.org', 'x', 'Zoe Ray', true, true, now()) RETURNING id::text", first,
    )  # fmt: skip
    iam(world, "UPDATE users SET email = 'there@example.org' WHERE tenant_id = %s AND username LIKE 'late%%'", first)
    iam(world, "INSERT INTO user_roles (user_id, role_id) SELECT %s, id FROM roles WHERE tenant_id = %s", zoe, first)
    both_loops()
    # A password that was set in the IAM has no way back into a table of several kinds: who has one keeps the realm there, by name.
    assert zoe in moved(first, "legacy").error
    iam(world, "DELETE FROM user_roles WHERE user_id = %s", zoe)
    iam(world, "DELETE FROM users WHERE id = %s", zoe)
    assert moved(first, "legacy").error == "" and of_keycloak(world) == set()
    late = "SELECT email FROM user_entity WHERE username LIKE 'late%%' AND realm_id = %s"
    assert legacy(world, late, first) == [("there@example.org",)]
    both_loops()
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == State.UNDONE
    assert iam(world, "SELECT username FROM users") == [(f"late {first}",)], (
        "what somebody edited there since stays, and is told"
    )
