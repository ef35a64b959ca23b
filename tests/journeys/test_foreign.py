"""The whole way, on servers and with roles that are not as ours."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connections
from psycopg.sql import SQL, Identifier

from flags.models import TenantHome
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine.queries import queries
from migration_portal.inventory.preflight import preflight
from migration_portal.runs.report import report
from migration_portal.schema import apply
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.servers import drop, on_server, url_of
from tests.world import World


def there_and_back(world: World, home: str) -> None:
    """Cut the tenant over, write there, and bring it back."""
    sync_tenants()
    both_loops()
    assert moved(home).error == ""
    iam(world, "UPDATE users SET full_name = 'Zoë' WHERE tenant_id = %s", home)
    both_loops()
    assert moved(home, "legacy").error == ""
    both_loops()


def test_a_legacy_in_latin1_keeps_every_character(world: World, settings: Any) -> None:
    name = f"{world.name}_legacy"
    drop(name)
    on_server(
        SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'").format(
            Identifier(name)
        )
    )
    builders.legacy_tables(world)
    home = builders.tenant(world, name="Café Ã©tÃ©")
    builders.user(world, home, full_name="Ã©", username="e")
    run = builders.migrated(world, capture=True)
    assert report(run).passed and report(run).accounted
    assert iam(world, "SELECT full_name FROM users") == [("Ã©",)]
    legacy(world, "UPDATE users SET full_name = 'Ã¼ber' WHERE username = 'e'")
    there_and_back(world, home)
    with world.legacy() as connection:
        assert connection.execute("SELECT full_name FROM users").fetchall() == [("Zoë",)]
    assert iam(world, "SELECT name FROM tenants") == [("Café Ã©tÃ©",)]


@pytest.fixture
def roles(world: World, settings: Any) -> Iterator[None]:
    """Two roles with the grants that the docs ask for and nothing more, and an IAM of the second's own."""
    names = {side: f"role_{side}_{world.name}" for side in ("legacy", "iam")}
    drop(f"{world.name}_iam")
    on_server(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(f"{world.name}_iam")))
    builders.legacy_tables(world)
    server = urlsplit(world.server)
    urls = {}
    for side, role in names.items():
        on_server(SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(Identifier(role)))
        on_server(
            SQL("GRANT CREATE, TEMP ON DATABASE {} TO {}").format(Identifier(f"{world.name}_{side}"), Identifier(role))
        )
        place = server._replace(netloc=f"{role}:secret@{server.hostname}:{server.port}").geturl()
        urls[side] = url_of(f"{world.name}_{side}", place)
    with world.legacy() as connection:
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            connection.execute(SQL("ALTER TABLE {} OWNER TO {}").format(Identifier(table), Identifier(names["legacy"])))
    with world.iam() as connection:
        connection.execute(SQL("GRANT CREATE ON SCHEMA public TO {}").format(Identifier(names["iam"])))
    settings.LEGACY_DATABASE_URL, settings.IAM_DATABASE_URL = urls["legacy"], urls["iam"]
    connections["iam"].close()
    before = dict(connections["iam"].settings_dict)
    connections["iam"].settings_dict |= {"USER": names["iam"], "PASSWORD": "secret"}
    yield
    connections["iam"].close()
    connections["iam"].settings_dict |= before
    for side, role in names.items():
        with psycopg.connect(url_of(f"{world.name}_{side}"), autocommit=True) as connection:
            connection.execute(SQL("DROP OWNED BY {} CASCADE").format(Identifier(role)))
        on_server(SQL("DROP ROLE {}").format(Identifier(role)))


@pytest.mark.usefixtures("roles")
def test_the_grants_of_the_docs_are_enough_for_everything(world: World) -> None:
    apply.apply(by="tester")
    home = builders.tenant(world)
    builders.user(world, home)
    assert [f for f in preflight()["findings"] if f["severity"] == "error"] == []
    run = builders.migrated(world, capture=True)
    assert report(run).passed
    there_and_back(world, home)
    assert TenantHome.objects.get().home == "legacy"
    assert legacy(world, "SELECT full_name FROM users") == [("Zoë",)]


@pytest.mark.usefixtures("roles")
def test_rows_that_only_a_privilege_shows_are_brought_there_and_back(world: World) -> None:
    apply.apply(by="tester")
    on_server(SQL("ALTER ROLE {} BYPASSRLS").format(Identifier(f"role_legacy_{world.name}")))
    home = builders.tenant(world)
    builders.user(world, home)
    for statement in ("ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"):
        legacy(world, f"ALTER TABLE users {statement}")
    legacy(world, "CREATE POLICY nobody ON users USING (false)")
    assert report(builders.migrated(world, capture=True)).passed
    there_and_back(world, home)
    assert legacy(world, "SELECT full_name FROM users") == [("Zoë",)]


def test_ids_in_another_case_come_back_as_they_were(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world, id=str(uuid.uuid4()).upper())
    builders.user(world, home, id=str(uuid.uuid4()).upper())
    before = legacy(world, "SELECT id FROM users")
    builders.migrated(world, capture=True)
    sync_tenants()
    TenantHome.objects.update(legacy_tenant=home.lower())  # as after a look at legacy that failed
    there_and_back(world, home.lower())
    assert TenantHome.objects.get().legacy_tenant == home
    assert legacy(world, "SELECT id, full_name FROM users") == [(before[0][0], "Zoë")]


def test_types_that_one_side_alone_has_are_cast_where_they_are_written(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.user(world, home, full_name="Ann", phone_number="home", avatar_url="https://example.org")
    for side in (legacy, iam):
        side(world, "CREATE TYPE phones AS ENUM ('work', 'home')")  # numbered, and hashed, differently
        side(world, "CREATE DOMAIN address AS varchar(255) CHECK (starts_with(value, 'https:'))")
    legacy(world, "ALTER TABLE users ALTER phone_number TYPE phones USING phone_number::phones")
    apply.apply(by="tester")
    iam(world, "ALTER TABLE users ALTER avatar_url TYPE address")
    iam(world, "CREATE TYPE names AS ENUM ('Ann', 'Zoë', 'Bo')")
    iam(world, "ALTER TABLE users ALTER full_name TYPE names USING full_name::names")
    run = builders.migrated(world, capture=True)
    assert report(run).passed and report(run).accounted
    about = {"run": run.key, "verification": 1, "table": "users"}
    with world.iam() as connection:  # found equal by their hashes: nothing had to be looked at twice
        assert connection.execute(queries("verification")["differing"], about).fetchall() == []
    legacy(world, "UPDATE users SET phone_number = 'work', full_name = 'Bo'")
    both_loops()
    assert iam(world, "SELECT phone_number, full_name::text FROM users") == [("work", "Bo")]
    there_and_back(world, home)
    row = legacy(world, "SELECT phone_number::text, full_name, avatar_url FROM users")
    assert row == [("work", "Zoë", "https://example.org")]
