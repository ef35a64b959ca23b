"""The whole way on servers that are not set up as ours: copy, live writes, cut over, reverse, undo; and nothing is lost.

Each environment changes one thing about legacy. What the two sides hold is compared with SQL of the tests' own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from config.embedded.settings import EmbeddedError
from flags.models import TenantHome
from migration_portal.cutover import guard
from migration_portal.cutover.models import Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine import capture
from migration_portal.runs.advance import advance
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from tests import builders
from tests.another_server import AnotherServer
from tests.cutover.moves import both_loops, moved
from tests.engine.changes import same
from tests.journeys.independent import differences, roles_differ
from tests.pooler import installed, pooler
from tests.sampling import ALL, some
from tests.servers import drop, on_server, url_of
from tests.world import World

_STAMP = """
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE changes (id serial PRIMARY KEY, user_id text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO changes (user_id) VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note();
"""
_PARTITIONS = """
ALTER TABLE users RENAME TO users_of_before;
ALTER INDEX users_pkey RENAME TO users_pkey_of_before;
CREATE TABLE users (LIKE users_of_before INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE users_0 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE users_1 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY HASH (id);
CREATE TABLE users_1_0 PARTITION OF users_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE users_1_1 PARTITION OF users_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
DROP TABLE users_of_before;
"""
_IDENTITY = """
ALTER TABLE licenses ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE users ADD COLUMN initials text GENERATED ALWAYS AS (left(full_name, 1)) STORED;
"""
_ROW_SECURITY = """
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY nobody ON users USING (false);
"""


@dataclass(frozen=True)
class Environment:
    """How legacy's database is created, what is set for all its sessions, and what its tables have in addition."""

    create: str = ""
    settings: tuple[str, ...] = ()
    tables: str = ""
    ignored: str = ""
    """A column of legacy's licences that the plan leaves out on purpose."""


ENVIRONMENTS = {
    "LATIN1": Environment("ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"),
    "foreign dates and zones": Environment(settings=(
        "TimeZone = 'Asia/Kolkata'", "DateStyle = 'German, DMY'", "IntervalStyle = 'sql_standard'",
        "extra_float_digits = -4", "bytea_output = 'escape'", "lc_monetary = 'C'",
    )),
    "strict sessions": Environment(settings=(
        "default_transaction_isolation = 'serializable'", "statement_timeout = '2s'", "lock_timeout = '2s'",
        "idle_in_transaction_session_timeout = '1s'", "idle_session_timeout = '1s'",
    )),
    "another search path": Environment(settings=("search_path = 'nowhere'",)),
    "row-level security": Environment(tables=_ROW_SECURITY),
    "triggers of its own": Environment(tables=_STAMP),
    "partitions": Environment(tables=_PARTITIONS),
    "identities and generated columns": Environment(tables=_IDENTITY, ignored="number"),
}  # fmt: skip


@dataclass
class Elsewhere(World):
    """A world whose legacy database may be on another server, and whose sessions of the tests' own see what they should."""

    legacy_url: str = ""

    def url(self, database: str) -> str:
        return self.legacy_url if self.legacy_url and database == "legacy" else super().url(database)

    def legacy(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("legacy"), autocommit=True, options="-c search_path=public")


@pytest.mark.parametrize("name", some(list(ENVIRONMENTS), 6, "environments"))
@pytest.mark.parametrize("guarded", [False, True] if ALL else [True], ids=lambda on: "guarded" if on else "unguarded")
def test_a_tenant_goes_there_and_back(world: World, settings: Any, tmp_path: Path, name: str, guarded: bool) -> None:
    environment = ENVIRONMENTS[name]
    if environment.ignored:
        plan, licences = Path(settings.MIGRATION_PLAN).read_text(encoding="utf-8"), 'secret = ["license_secret"]\n'
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(plan.replace(licences, f'{licences}ignored = ["{environment.ignored}"]\n'))
    world = Elsewhere(world.name, world.server)
    legacy = Identifier(f"{world.name}_legacy")
    if environment.create:
        drop(f"{world.name}_legacy")
        on_server(SQL("CREATE DATABASE {} TEMPLATE template0 " + environment.create).format(legacy))
    builders.legacy_tables(world)
    with world.legacy() as session:
        session.execute(environment.tables)
    for setting in environment.settings:
        on_server(SQL("ALTER DATABASE {} SET " + setting).format(legacy))
    there_and_back(world, writing(world), guarded=guarded)


@pytest.mark.parametrize("collation", ["", "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT-u-kn-ks-level2'"], ids=["C", "ICU"])
def test_a_tenant_comes_from_an_older_server(world: World, settings: Any, collation: str) -> None:
    """The ICU collation orders numbers by their value, and tells no case apart."""
    try:
        server = AnotherServer(15)
    except EmbeddedError:
        pytest.skip("no PostgreSQL 15 is installed")
    with server:
        on_server(SQL("CREATE DATABASE old TEMPLATE template0 " + collation), server.url)
        settings.LEGACY_DATABASE_URL = url_of("old", server.url)
        elsewhere = Elsewhere(world.name, world.server, legacy_url=url_of("old", server.url))
        builders.legacy_tables(elsewhere)
        there_and_back(elsewhere, writing(elsewhere), guarded=True)


@installed
def test_a_tenants_applications_write_through_a_pooler(world: World, tmp_path: Path) -> None:
    builders.legacy_tables(world)
    with pooler(world.url("legacy"), tmp_path, ignored="") as url:
        there_and_back(world, writing(world, url), guarded=True)


Write = Callable[..., None]


def writing(world: World, legacy_url: str = "") -> Write:
    """Writes of a side's applications, each a transaction of its own, with their own settings."""

    def write(side: str, statement: str, *arguments: Any) -> None:
        url = legacy_url if legacy_url and side == "legacy" else world.url(side)
        with psycopg.connect(
            url, options="" if legacy_url else "-c search_path=public", prepare_threshold=None
        ) as session:
            session.execute(statement, arguments)

    return write


def there_and_back(world: World, write: Write, *, guarded: bool) -> None:
    moves, stays = builders.tenant(world, name="Café Mü"), builders.tenant(world)
    keys = [builders.user(world, moves, username=f"user {n}", full_name=f"Ünal {n}") for n in range(40)]
    builders.user(world, moves, id=str(uuid.uuid4()).upper(), is_superuser=True)
    builders.user(world, stays, email=None)
    builders.licence(world, moves, payload='{"ä": [1, null], "b": "\\u00e9"}')

    run = start(by="tester", capture=True)
    advance(run)
    builders.finish(run)
    write("legacy", "UPDATE users SET full_name = 'Zoë' WHERE username = 'user 1'")
    write("legacy", "UPDATE users SET email = 'x' || email WHERE tenant_id = %s", moves)
    write("legacy", "UPDATE users SET id = %s WHERE id = %s", str(uuid.uuid4()), keys[2])
    write("legacy", "UPDATE users SET is_superuser = NOT is_superuser WHERE id = %s", keys[3])
    write("legacy", "DELETE FROM users WHERE id = %s", keys[4])
    write("legacy", "UPDATE users SET tenant_id = %s WHERE id = %s", stays, keys[5])
    sync_tenants()
    both_loops()
    assert differences(world) + roles_differ(world) == []
    if guarded:
        guard.switch(on=True, by="tester")

    assert moved(moves).error == ""
    write(
        "iam",
        "UPDATE users SET full_name = 'Renée', updated_at = '2026-03-04 05:06:07.123456+00' WHERE tenant_id = %s",
        moves,
    )
    write("iam", "INSERT INTO users (tenant_id, username, hashed_password) VALUES (%s, 'newcomer', 'x')", moves)
    write("iam", "DELETE FROM user_roles WHERE user_id = %s", keys[6])
    write("iam", "DELETE FROM users WHERE id = %s", keys[6])
    write("legacy", "UPDATE users SET full_name = 'Elsewhere' WHERE tenant_id = %s", stays)
    if guarded:
        with pytest.raises(psycopg.Error, match="at home on the other system"):
            write("legacy", "UPDATE users SET full_name = 'no' WHERE tenant_id = %s", moves)
    both_loops()
    assert differences(world) == []

    assert moved(moves, "legacy").error == ""
    write("legacy", "UPDATE users SET full_name = 'Home again' WHERE username = 'newcomer'")
    both_loops()
    assert differences(world) + roles_differ(world) == []
    assert same(run) and not Stray.objects.exists()

    undo(run, by="tester", reason="test")
    assert builders.finish(run).state == State.UNDONE
    with world.iam() as iam, world.legacy() as legacy:
        # What was written in the IAM while the tenant lived there is not the run's to remove.
        rows = iam.execute("SELECT id::text FROM users UNION ALL SELECT id::text FROM tenants").fetchall()
        left = iam.execute("SELECT key[1] FROM portal_ledger.left_in_place WHERE table_name IN ('users', 'tenants')")
        assert sorted(rows) == sorted(left.fetchall()) and 0 < len(rows) < 45
        assert not capture.installed(legacy) and not TenantHome.objects.filter(home="iam").exists()
        assert legacy.execute("SELECT count(*) FROM public.users WHERE full_name = 'Home again'").fetchone() == (1,)
