"""A real MariaDB: its tables, types, keys and oddities, from one snapshot."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pymysql
import pytest
from django.core.management import CommandError, call_command

from migration_portal.drafting.draft import draft_now
from migration_portal.importing import load, mysql
from migration_portal.refusal import Refusal
from migration_portal.runs.report import report
from tests import builders
from tests.cutover.moves import iam, legacy
from tests.world import World

SERVER, INSTALL = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
if SERVER is None or INSTALL is None:
    pytest.skip("mariadb-server is not installed", allow_module_level=True)

HASH = "$2y$10$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK"
SCHEMA = """
CREATE TABLE companies (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) NOT NULL, code VARCHAR(20) UNIQUE
) ENGINE=InnoDB;
CREATE TABLE `Members` (
  id BINARY(16) PRIMARY KEY, company_id INT UNSIGNED NOT NULL, login VARCHAR(80) NOT NULL, mail VARCHAR(120),
  password VARCHAR(255) NOT NULL, enabled TINYINT(1) NOT NULL DEFAULT 1, points BIGINT UNSIGNED, photo BLOB, settings JSON,
  created DATETIME NULL, seen TIMESTAMP NULL, kind ENUM('staff', 'guest'), balance DECIMAL(20, 4),
  UNIQUE (company_id, login), FOREIGN KEY (company_id) REFERENCES companies (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[int]:
    home = tmp_path_factory.mktemp("mariadb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    common = ["--no-defaults", f"--datadir={home / 'data'}", "--user=root"]
    subprocess.run([str(INSTALL), *common, "--auth-root-authentication-method=normal"], check=True, capture_output=True)
    listening = [f"--socket={home / 's'}", f"--port={port}", "--bind-address=127.0.0.1", "--sql-mode="]
    process = subprocess.Popen([str(SERVER), *common, *listening], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            connection = pymysql.connect(unix_socket=str(home / "s"), user="root")
            break
        except pymysql.Error:
            time.sleep(0.1)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER reader@'127.0.0.1' IDENTIFIED BY 's3cret/@'")
        cursor.execute("GRANT ALL ON *.* TO reader@'127.0.0.1'")
    yield port
    process.terminate()
    process.wait(20)


@pytest.fixture
def shop(server: int) -> Iterator[Any]:
    """A connection to a database with the two tables, a few rows in them."""
    connection = pymysql.connect(
        host="127.0.0.1", port=server, user="reader", password="s3cret/@", autocommit=True, charset="utf8mb4"
    )
    with connection:
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS shop")
            cursor.execute("CREATE DATABASE shop")
            cursor.execute("USE shop")
            for statement in SCHEMA.strip().rstrip(";").split(";\n"):
                cursor.execute(statement)
            cursor.execute("INSERT INTO companies (name, code) VALUES ('Acme', 'acme'), ('Bolt', 'bolt')")
            marks = f"UNHEX(%s), %s, %s, %s, '{HASH}', {', '.join(['%s'] * 8)}"
            cursor.executemany(f"INSERT INTO Members VALUES ({marks})", [_member(n) for n in range(20)])
        yield connection


def _member(n: int) -> tuple[Any, ...]:
    created = "2020-01-02 03:04:05" if n else "0000-00-00 00:00:00"
    return (
        f"6a0c00000000400080000000000000{n:02x}", 1 + n % 2, f"mémber\t{n} 😀", f"m{n}@example.org", n % 2, 2**64 - 1,
        b"\x00\xff\\n", '{"a": 1}', created, "2020-01-02 03:04:05", "staff", "1234567890.1234",
    )  # fmt: skip


def _url(server: int, database: str = "shop", password: str = "s3cret%2F%40") -> str:
    return f"mysql://reader:{password}@127.0.0.1:{server}/{database}"


def test_rows_arrive_field_for_field(world: World, server: int, shop: Any) -> None:
    with mysql.tables_of(_url(server)) as tables, world.legacy() as database:
        assert load.load(database, tables) == {"Members": 20, "companies": 2}
    found = legacy(
        world, "SELECT id::text, login, enabled, points::text, photo, settings::json ->> 'a', created::text,"
        " seen AT TIME ZONE 'UTC' = created, kind, balance::text FROM imported.\"Members\" ORDER BY id LIMIT 2",
    )  # fmt: skip
    assert found[0] == (
        "6a0c0000-0000-4000-8000-000000000000", "mémber\t0 😀", False, str(2**64 - 1), b"\x00\xff\\n", "1", None, None, "staff",
        "1234567890.1234",
    )  # fmt: skip
    assert found[1][6:8] == ("2020-01-02 03:04:05", True)


def test_keys_and_what_they_refer_to_come_along(world: World, server: int, shop: Any) -> None:
    with mysql.tables_of(_url(server)) as tables, world.legacy() as database:
        load.load(database, tables)
    asked = "SELECT contype::text, count(*) FROM pg_constraint WHERE connamespace = 'imported'::regnamespace GROUP BY 1"
    found = dict(legacy(world, asked))
    assert (found["f"], found["p"], found["u"]) == (1, 2, 2)


def test_it_is_one_snapshot(world: World, server: int, shop: Any) -> None:
    with mysql.tables_of(_url(server)) as tables, world.legacy() as database:
        with shop.cursor() as cursor:
            cursor.execute("DELETE FROM Members")
        assert load.load(database, tables)["Members"] == 20


def test_a_drafted_plan_takes_it_to_the_iam(
    world: World, server: int, shop: Any, settings: Any, tmp_path: Path
) -> None:
    out = StringIO()
    call_command("portal", "import_legacy", _url(server), stdout=out)
    assert "20 rows" in out.getvalue() and "s3cret" not in out.getvalue()
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(draft_now("shop", source_schema="imported").text)
    assert report(builders.migrated(world, dry_run=True)).passed
    told = report(builders.migrated(world, capture=True))
    assert told.passed and told.tables["users"].copied == 20 and told.tables["tenants"].copied == 2
    active = "SELECT count(*) FROM users u JOIN tenants t ON t.id = u.tenant_id WHERE t.slug = %s AND u.is_active"
    assert iam(world, active, "acme") == [(0,)] and iam(world, active, "bolt") == [(10,)]


@pytest.mark.parametrize(
    ("database", "password", "why"),
    [("shop", "wrong", "denied"), ("none", "s3cret%2F%40", "Unknown database"), ("", "x", "no database")],
)
def test_what_cannot_be_opened_says_why_without_the_password(
    server: int, database: str, password: str, why: str
) -> None:
    with pytest.raises(Refusal, match=why) as refused, mysql.tables_of(_url(server, database, password)):
        pass
    assert password == "x" or password not in str(refused.value)


def test_a_table_that_keeps_no_snapshot_is_refused_by_name(world: World, server: int, shop: Any) -> None:
    with shop.cursor() as cursor:
        cursor.execute("CREATE TABLE notes (id INT PRIMARY KEY) ENGINE=MyISAM")
    with pytest.raises(CommandError, match="keep no snapshot: notes"):
        call_command("portal", "import_legacy", _url(server))
