"""Bad situations: a named error where the operator is, with what to do, and state unchanged."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded import postgres
from migration_portal.runs.advance import advance
from migration_portal.runs.models import Chunk, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import retry
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.work import work
from tests import builders
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
