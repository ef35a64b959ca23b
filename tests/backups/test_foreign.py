"""Databases that are nobody's idea of ours: what is in them is backed up, compared and restored all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.embedded.settings import EmbeddedError
from migration_portal.backups.models import Backup
from tests.another_server import AnotherServer
from tests.backups.builders import backed_up, checked
from tests.world import World

ODD = {
    "enums, domains, arrays and composites": """
        CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN age AS int CHECK (VALUE > 0);
        CREATE TYPE place AS (street text, at point);
        CREATE TABLE odd (id int PRIMARY KEY, m mood, ms mood[], a age, p place, r int4range, j json, jb jsonb,
                          t interval, f float8, n numeric, b bit(3), i inet, o oid, v tsvector);
        INSERT INTO odd VALUES (1, 'ok', '{sad,ok}', 3, ROW('x', '(1,2)'), '[1,5)', '{"a": 1.00}', '{"a": 1.00}',
                                '1 day', 'NaN', 1.10, B'101', '10.0.0.1/8', 5, 'a:1 b:2'), (2, NULL, NULL, NULL, NULL, NULL,
                                NULL, NULL, NULL, '-0', 'NaN', NULL, NULL, NULL, NULL)""",
    "partitions and inheritance with another order of columns": """
        CREATE TABLE part (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
        CREATE TABLE part_2 (at date, id int);
        ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
        INSERT INTO part VALUES (1, '2026-05-05'), (2, '2027-05-05');
        CREATE TABLE mother (a int); CREATE TABLE child (b int) INHERITS (mother); ALTER TABLE mother ADD COLUMN c int;
        INSERT INTO child VALUES (1, 2, 3)""",
    "generated columns, identities, sequences and large objects": """
        CREATE TABLE made (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
        INSERT INTO made (a) VALUES (1), (2); CREATE SEQUENCE fresh; CREATE SEQUENCE down INCREMENT -1;
        SELECT nextval('down'); SELECT lo_create(4711)""",
    "names that need quotes, no columns, no rows, no logging": """
        CREATE SCHEMA "Odd Schema"; CREATE TABLE "Odd Schema"."Ta""ble.with dot" ("Se lect" int, "ö" text);
        INSERT INTO "Odd Schema"."Ta""ble.with dot" VALUES (1, 'ü'); CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
        CREATE UNLOGGED TABLE fast (id int); INSERT INTO fast VALUES (1); CREATE TABLE dropped (a int, b int, c int);
        INSERT INTO dropped VALUES (1, 2, 3); ALTER TABLE dropped DROP COLUMN b""",
    "row-level security, rules, views and materialized views": """
        CREATE TABLE mine (id int, t text); INSERT INTO mine VALUES (1, 'a'); ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
        ALTER TABLE mine FORCE ROW LEVEL SECURITY; CREATE POLICY none ON mine USING (false);
        CREATE VIEW seen AS SELECT id FROM mine; CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one;
        CREATE RULE quiet AS ON DELETE TO mine DO INSTEAD NOTHING""",
    "triggers that are off, functions in SQL, extended statistics, comments": """
        CREATE TABLE watched (id int, n int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER t BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE watched DISABLE TRIGGER t;
        CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'; CREATE STATISTICS s ON id, n FROM watched;
        COMMENT ON TABLE watched IS 'x'; CREATE INDEX ON watched (lower(id::text)) WHERE n > 0""",
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_what_is_odd_is_validated(world: World, backups: Path, what: str) -> None:
    with world.legacy() as legacy:
        legacy.execute(ODD[what])
    found = checked(backed_up("legacy"), Backup.VALIDATED)
    assert (found.error, found.finding, found.reached) == ("", "", 3)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE odd SET m = 'sad' WHERE id = 1",
        "UPDATE odd SET n = 1.1 WHERE id = 1",
        "UPDATE odd SET f = '0' WHERE id = 2",
        """UPDATE odd SET j = '{"a":1.00}' WHERE id = 1""",
        "UPDATE odd SET a = NULL WHERE id = 1",
    ],
)
def test_the_smallest_change_of_a_value_changes_the_hash(world: World, backups: Path, change: str) -> None:
    with world.legacy() as legacy:
        legacy.execute(ODD["enums, domains, arrays and composites"])
    before = backed_up("legacy").manifest["content"]["tables"]["public.odd"]
    with world.legacy() as legacy:
        legacy.execute(change)
    assert backed_up("legacy").manifest["content"]["tables"]["public.odd"] != before


@pytest.fixture
def fifteen() -> Iterator[str]:
    """The URL of a PostgreSQL 15, where there is one."""
    try:
        server = AnotherServer(15)
    except EmbeddedError:
        pytest.skip("There is no PostgreSQL 15 here.")
    with server:
        yield server.url


@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_older_server_is_dumped_by_its_own_tools(
    world: World, backups: Path, fifteen: str, settings: Any, elsewhere: bool
) -> None:
    settings.LEGACY_DATABASE_URL = fifteen
    settings.BACKUP_SCRATCH_URL = world.server if elsewhere else ""
    with psycopg.connect(fifteen, autocommit=True) as legacy:
        legacy.execute("CREATE ROLE somebody")
        legacy.execute(ODD["enums, domains, arrays and composites"])
        legacy.execute("ALTER TABLE odd OWNER TO somebody; GRANT SELECT ON odd TO somebody")
        if not elsewhere:  # the other server has no ICU
            legacy.execute("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
            legacy.execute("CREATE TABLE loosely (id text COLLATE loose PRIMARY KEY, x xml)")
            legacy.execute("INSERT INTO loosely VALUES ('a', '<a/>'), ('ä', NULL)")
    backup = backed_up("legacy")
    assert backup.manifest["tool"] == "pg_dump 15"
    found = checked(backup, Backup.VALIDATED)
    assert (found.error, found.finding, found.reached) == ("", "", 3)
