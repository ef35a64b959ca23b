"""Bad situations: a named error where the operator is, with what to do, and state unchanged."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.embedded import postgres
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.runs.advance import advance
from migration_portal.runs.models import Chunk, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import retry
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.work import work
from tests import builders
from tests.engine.changes import caught_up, change, same
from tests.servers import on_server
from tests.world import World


def work_without_waiting(world: World, run: Run) -> None:
    """Try failing chunks again at once, as often as they are tried at all."""
    for _ in range(12):
        with world.iam() as iam:
            iam.execute("UPDATE portal_ledger.chunks SET not_before = '-infinity'")
        work(run.pk)
        advance(run)
    run.refresh_from_db()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of a megabyte that the server may write to."""
    user = postgres.server_user()
    directory = Path(tempfile.mkdtemp(prefix="portal-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(directory)]
    if user is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        directory.rmdir()
        pytest.skip("only root can mount the small disk that this test fills")
    os.chown(directory, user.pw_uid, user.pw_gid)
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)
    directory.rmdir()


def test_a_lost_privilege_fails_the_run_and_retry_finishes_it(world: World) -> None:
    world.sample()
    run = start(by="tester")
    with world.iam() as iam:
        iam.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE insufficient_privilege USING MESSAGE = 'permission denied for table licenses'; END $$"
        )
        iam.execute("CREATE TRIGGER refuse BEFORE INSERT ON licenses FOR EACH STATEMENT EXECUTE FUNCTION refuse()")
    work_without_waiting(world, run)
    assert run.state == State.FAILED
    chunk = Chunk.objects.get(run=run.key, state="failed")
    assert "permission denied for table licenses" in chunk.error
    assert "Grant it" in chunk.error
    with world.iam() as iam:
        iam.execute("DROP TRIGGER refuse ON licenses")
    retry(run, by="tester")
    assert builders.finish(run).state == State.COMPLETED
    assert report(run).passed


def test_a_full_disk_fails_the_run_whole_and_retry_finishes_it(world: World, small_disk: Path) -> None:
    dirt = world.sample(users=6000, tenants=20)
    space = f"small_{world.name}"
    on_server(f"CREATE TABLESPACE {space} LOCATION '{small_disk}'")
    try:
        with world.iam() as iam:
            iam.execute(f"ALTER TABLE users SET TABLESPACE {space}")
        run = start(by="tester")
        work_without_waiting(world, run)
        assert run.state == State.FAILED
        error = Chunk.objects.get(run=run.key, state="failed").error
        assert "The server's disk is full" in error
        assert "press Retry" in error
        with world.iam() as iam:
            assert iam.execute("SELECT count(*) FROM users").fetchone() == (0,)
            iam.execute("ALTER TABLE users SET TABLESPACE pg_default")
        retry(run, by="tester")
        assert builders.finish(run).state == State.COMPLETED
        assert {name: table.reasons for name, table in report(run).tables.items()} == dirt.quarantined()
    finally:
        with world.iam() as iam:
            iam.execute("ALTER TABLE users SET TABLESPACE pg_default")
        on_server(f"DROP TABLESPACE {space}")


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("users", "UPDATE users SET bio = repeat(md5(id), 200)"),
        ("portal_ledger.touched", "UPDATE users SET bio = 'x'"),
    ],
)
def test_a_full_disk_stops_catch_up_whole_and_it_goes_on_when_there_is_room(
    world: World, small_disk: Path, table: str, statement: str
) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    for _ in range(300):
        builders.user(world, home)
    run = builders.migrated(world, capture=True)
    space = f"small_{world.name}"
    on_server(f"CREATE TABLESPACE {space} LOCATION '{small_disk}'")
    try:
        with world.iam() as iam:
            iam.execute(f"ALTER TABLE {table} SET TABLESPACE {space}")
        _fill(small_disk)
        change(world, statement)
        follow("forward", seconds=1)
        assert "The server's disk is full" in FlowStatus.objects.get(pk="forward").error
        with world.iam() as iam:
            iam.execute(f"ALTER TABLE {table} SET TABLESPACE pg_default")
        follow("forward", seconds=1)
        assert FlowStatus.objects.get(pk="forward").error == "" and same(run)
    finally:
        with world.iam() as iam:
            iam.execute(f"ALTER TABLE {table} SET TABLESPACE pg_default")
        on_server(f"DROP TABLESPACE {space}")


def test_a_full_disk_under_the_queue_fails_the_write_and_loses_nothing(world: World, small_disk: Path) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.user(world, home, full_name="before")
    run = builders.migrated(world, capture=True)
    space = f"small_{world.name}"
    on_server(f"CREATE TABLESPACE {space} LOCATION '{small_disk}'")
    try:
        with world.legacy() as legacy:
            legacy.execute(f"ALTER TABLE portal_capture.queue SET TABLESPACE {space}")
            _fill(small_disk)
            with pytest.raises(psycopg.errors.DiskFull):
                for n in range(20_000):
                    legacy.execute("UPDATE users SET full_name = %s", [f"name {n}"])
            legacy.execute("ALTER TABLE portal_capture.queue SET TABLESPACE pg_default")
        caught_up(run)
        assert same(run)
    finally:
        with world.legacy() as legacy:
            legacy.execute("ALTER TABLE portal_capture.queue SET TABLESPACE pg_default")
        on_server(f"DROP TABLESPACE {space}")


def _fill(disk: Path) -> None:
    """Leave no room on it."""
    with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))
