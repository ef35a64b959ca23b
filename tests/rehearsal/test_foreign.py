"""Rehearsals of databases that nobody here has seen: other servers, other versions, triggers that reach out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migration_portal.rehearsal import rehearse
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.sample.dirt import FLAVOURS
from migration_portal.sample.fill import fill
from tests.another_server import AnotherServer
from tests.backups.builders import backed_up, checked
from tests.world import World

_TRAIL = """
CREATE EXTENSION dblink;
CREATE FUNCTION trail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.dblink_exec('%(url)s', format('INSERT INTO trail (who) VALUES (%%L)', NEW.username)); RETURN NEW;
END $$;
CREATE TRIGGER trail AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION trail();
"""


@pytest.fixture
def fifteen(settings: Any) -> Iterator[AnotherServer]:
    """Legacy on PostgreSQL 15; the IAM and the portal on ours, with a locale that it does not know."""
    with AnotherServer(15) as server:
        settings.LEGACY_DATABASE_URL = server.url
        with psycopg.connect(server.url, autocommit=True) as legacy:
            fill(legacy, FLAVOURS["documented"](100, 6, 0.01), seed=1)
        yield server


def rehearsed() -> Rehearsal:
    found = checked(backed_up("legacy"), 3)
    assert found.reached == 3, (found.error, found.finding)
    made = rehearse.request(by="tester", reason="a drill", tenants=1)
    rehearse.perform(made)
    made.refresh_from_db()
    return made


def test_an_older_server_whose_triggers_write_elsewhere_and_grants_to_roles_that_it_does_not_know(
    world: World, backups: Path, fifteen: AnotherServer
) -> None:
    elsewhere, role = fifteen.url.replace("/postgres", "/audit_production"), f"{world.name}_app"
    with psycopg.connect(fifteen.url, autocommit=True) as legacy:
        legacy.execute("CREATE DATABASE audit_production")
        with psycopg.connect(elsewhere, autocommit=True) as audit:
            audit.execute("CREATE TABLE trail (who text)")
        legacy.execute(_TRAIL % {"url": elsewhere})  # type: ignore[arg-type]
    with world.iam() as iam:
        iam.execute(f"CREATE ROLE {role}")
        iam.execute(f'GRANT CONNECT ON DATABASE "{iam.info.dbname}" TO {role}')
        try:
            made = rehearsed()
        finally:
            iam.execute(f"DROP OWNED BY {role}")
            iam.execute(f"DROP ROLE {role}")
    assert made.state == "done", made.error
    with psycopg.connect(elsewhere) as audit:
        assert audit.execute("SELECT count(*) FROM trail").fetchone() == (0,)
