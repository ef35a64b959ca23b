"""Sessions on the two databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from migration_portal import databases
from migration_portal.engine.errors import PoolerInBetween, WrongEncoding, WrongVersion
from migration_portal.runs.start import start
from tests.pooler import installed, pooler
from tests.servers import drop, on_server, url_of
from tests.world import World


def test_a_server_that_is_too_old_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sample()
    monkeypatch.setattr("migration_portal.databases.OLDEST", 990000)
    with pytest.raises(WrongVersion, match="legacy database: It runs PostgreSQL .* 99 or later is needed"):
        start(by="tester")


def test_what_a_role_sets_for_its_sessions_does_not_reach_ours(world: World) -> None:
    name = f"{world.name}_legacy"
    for setting in (
        "statement_timeout = '1s'", "idle_in_transaction_session_timeout = '1s'", "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'", "search_path = elsewhere", "row_security = on",
        "TimeZone = 'Asia/Tokyo'", "bytea_output = 'escape'",
    ):  # fmt: skip
        on_server(f'ALTER DATABASE "{name}" SET {setting}')
    with databases.legacy_writable("test") as session:
        shown = {
            setting: session.execute(f"SHOW {setting}").fetchone()[0]  # type: ignore[index]
            for setting in ("statement_timeout", "default_transaction_isolation", "search_path", "TimeZone")
        }
    assert shown == {
        "statement_timeout": "0",
        "default_transaction_isolation": "read committed",
        "search_path": "public",
        "TimeZone": "UTC",
    }


def test_a_database_without_an_encoding_is_refused(world: World, settings: Any) -> None:
    name = f"{world.name}_ascii"
    on_server(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'")
    settings.LEGACY_DATABASE_URL = url_of(name, world.server)
    try:
        with pytest.raises(WrongEncoding, match="SQL_ASCII.*created with that encoding"):
            databases.legacy("test")
    finally:
        drop(name)


@installed
@pytest.mark.parametrize("ignored", ["", "options,extra_float_digits"])
def test_a_pooler_that_drops_our_settings_is_refused(world: World, settings: Any, tmp_path: Path, ignored: str) -> None:
    with pooler(world.url("legacy"), tmp_path, ignored=ignored) as url:
        settings.LEGACY_DATABASE_URL = url
        with pytest.raises(PoolerInBetween, match="Point the URL at the PostgreSQL server itself"):
            databases.legacy("test")


def test_a_password_is_not_shown() -> None:
    assert databases.without_password("postgres://me:secret@db:5432/x") == "postgres://me@db:5432/x"


def test_rows_that_row_level_security_hides_are_an_error(world: World, settings: Any) -> None:
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE t (x int)")
        legacy.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        legacy.execute(
            "DO $$ BEGIN CREATE ROLE portal_test_reader LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        legacy.execute("GRANT SELECT ON t TO portal_test_reader")
    server = urlsplit(world.url("legacy"))
    settings.LEGACY_DATABASE_URL = server._replace(
        netloc=f"portal_test_reader:x@{server.hostname}:{server.port}"
    ).geturl()
    with databases.legacy("test") as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("SELECT * FROM t")
