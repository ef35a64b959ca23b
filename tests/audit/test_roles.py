"""The portal uses its database as a role that can add to the audit log and do nothing else to it."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.checks import run_checks
from psycopg import sql

from tests.servers import SERVER, create, drop, on_server
from tests.world import World


def manage(environment: dict[str, str], *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], env=os.environ | environment | more, capture_output=True,
        text=True, check=False, timeout=180,
    )  # fmt: skip


@contextmanager
def migrated(server_url: str, environment: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """A fresh database of the portal's, migrated by its owner: the URL of the other role, and both URLs as settings."""
    name = f"portal_user_{uuid.uuid4().hex[:8]}"
    database = f"{name}_db"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    owner = server_url.rpartition("/")[0] + f"/{database}"
    theirs = f"postgres://{name}:secret@{owner.partition('@')[2]}"
    urls = {"DATABASE_OWNER_URL": owner, "DATABASE_URL": theirs}
    done = manage(environment, "migrate", **urls)
    assert done.returncode == 0 and "only add to its audit log" in done.stdout, done.stderr
    yield theirs, urls
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
        server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def first() -> Iterator[tuple[str, dict[str, str]]]:
    with migrated(SERVER, {}) as made:
        yield made


@pytest.fixture
def untouched(first: tuple[str, dict[str, str]]) -> str:
    """The role's URL, for all that is refused: it changes nothing."""
    return first[0]


@pytest.fixture
def user(first: tuple[str, dict[str, str]]) -> Iterator[tuple[str, dict[str, str]]]:
    """A copy of the database, and the role as it was."""
    database = urlsplit(first[0]).path.removeprefix("/")
    copy = f"{database}_copy"
    create(copy, SERVER, database)
    urls = {name: url.replace(f"/{database}", f"/{copy}") for name, url in first[1].items()}
    yield urls["DATABASE_URL"], urls
    drop(copy)
    role = sql.Identifier(database.removesuffix("_db"))
    on_server(sql.SQL("ALTER ROLE {} PASSWORD 'secret'").format(role))


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit_event DISABLE TRIGGER USER", "UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event",
        "TRUNCATE audit_event", "DROP TABLE audit_event", "DROP TRIGGER audit_event_no_change ON audit_event",
        "SET session_replication_role = replica", "ALTER FUNCTION audit_event_append_only() RENAME TO x",
        "CREATE TRIGGER x BEFORE INSERT ON audit_event EXECUTE FUNCTION audit_event_append_only()",
        "DELETE FROM audit_stretches.stretch_1", "TRUNCATE audit_stretches.stretch_1", "DROP TABLE audit_stretches.stretch_1",
        "ALTER TABLE audit_event DETACH PARTITION audit_stretches.stretch_1", "DROP FUNCTION audit_event_cut()",
        "DELETE FROM audit_archive", "UPDATE audit_archive SET statement = ''", "DELETE FROM retention_hold",
        "INSERT INTO audit_archive SELECT * FROM audit_archive", "UPDATE django_migrations SET name = 'x'",
        "CREATE TABLE mine (id int)",
    ],
)  # fmt: skip
def test_the_portals_own_role_cannot_touch_what_was_recorded(untouched: str, statement: str) -> None:
    with psycopg.connect(untouched, autocommit=True) as portal, pytest.raises(psycopg.errors.InsufficientPrivilege):
        portal.execute(statement)


def test_the_portal_works_as_that_role(world: World, user: tuple[str, dict[str, str]]) -> None:
    told = manage(world.environment, "portal", "verify_audit", **user[1])
    assert told.returncode == 0 and "0 events" in told.stdout, told.stderr
    told = manage(world.environment, "portal", "verify_audit", **user[1])
    assert "1 events" in told.stdout
    made = "from django.contrib.auth.models import User; User.objects.create_user('x'); User.objects.all().delete()"
    assert manage(world.environment, "shell", "-c", made, **user[1]).returncode == 0
    assert manage(world.environment, "migrate", **user[1]).returncode == 0  # again: what is there stays


def test_the_portals_own_role_cuts_the_log_and_only_the_owner_archives(
    world: World, user: tuple[str, dict[str, str]]
) -> None:
    environment = world.environment
    made = "from migration_portal.audit.chain import record; record('start')"
    cut = "from django.db import connection; connection.cursor().execute('SELECT audit_event_cut()')"
    assert manage(environment, "shell", "-c", f"{made}; {cut}; {made}", **user[1]).returncode == 0
    archive = ("portal", "archive_audit", "--before", "2100-01-01", "--reason", "the policy")
    told = manage(environment, *archive, **user[1] | {"DATABASE_OWNER_URL": user[1]["DATABASE_URL"]})
    assert told.returncode == 1 and "Set DATABASE_OWNER_URL" in told.stderr
    told = manage(environment, *archive, **user[1])
    assert told.returncode == 0 and "Events 1 to 1" in told.stdout, told.stderr
    told = manage(environment, "portal", "verify_audit", "--archives", **user[1])
    assert told.returncode == 0 and "1 before them were archived" in told.stdout, told.stderr


def test_a_new_password_in_the_settings_is_the_roles_from_then_on(
    world: World, user: tuple[str, dict[str, str]]
) -> None:
    rotated = user[1] | {"DATABASE_URL": user[0].replace(":secret@", ":rotated@")}
    assert manage(world.environment, "migrate", **rotated).returncode == 0
    with psycopg.connect(rotated["DATABASE_URL"], autocommit=True) as portal, pytest.raises(psycopg.errors.Error):
        portal.execute("SELECT setval('audit_event_id_seq', 1)")


def test_a_role_that_could_help_itself_is_refused(world: World, user: tuple[str, dict[str, str]]) -> None:
    owner = user[1]["DATABASE_OWNER_URL"]
    told = manage(world.environment, "migrate", DATABASE_OWNER_URL=owner, DATABASE_URL=owner)
    assert told.returncode != 0 and "give it a role of its own" in told.stderr


def test_one_role_for_all_is_said_before_deployment() -> None:
    assert "audit.W001" in {found.id for found in run_checks(include_deployment_checks=True)}
