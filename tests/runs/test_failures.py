"""Bad situations: a named error where the operator is, with what to do, and state unchanged."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from config import embedded
from migration_portal.engine.errors import WrongVersion
from migration_portal.plan.errors import PlanError
from migration_portal.runs.advance import advance
from migration_portal.runs.models import Chunk, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import retry
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.work import work
from tests import builders
from tests.stack import World, on_server


def test_a_legacy_table_without_primary_key_is_refused_before_anything_is_done(world: World) -> None:
    world.sample()
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE licenses DROP CONSTRAINT licenses_pkey")
    with pytest.raises(PlanError, match="licenses: The legacy table has no primary key.*have the legacy owner add one"):
        start(by="tester")
    assert not Run.objects.exists()


def test_a_plan_with_an_unknown_column_is_refused(world: World, tmp_path: Path) -> None:
    world.sample()
    path = tmp_path / "plan.toml"
    path.write_text(Path(settings.MIGRATION_PLAN).read_text().replace('bio = "bio"', 'biography = "bio"', 1))
    with pytest.raises(PlanError, match="users.biography"):
        start(by="tester", plan_path=path)


def work_without_waiting(world: World, run: Run) -> None:
    """Try failing chunks again at once, as often as they are tried at all."""
    for _ in range(12):
        with world.iam() as iam:
            iam.execute("UPDATE portal_ledger.chunks SET not_before = '-infinity'")
        work(run.pk)
        advance(run)
    run.refresh_from_db()


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


def test_dispatch_holds_while_legacy_has_a_long_transaction(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sample()
    monkeypatch.setattr(settings, "LEGACY_MAX_TRANSACTION_SECONDS", -1)
    with world.legacy() as other, other.transaction():
        other.execute("SELECT 1")
        run = start(by="tester")
        advance(run)
        run.refresh_from_db()
        assert "A transaction has been open on the legacy database" in run.hold_reason
        assert work(run.pk) == 0
    monkeypatch.setattr(settings, "LEGACY_MAX_TRANSACTION_SECONDS", 900)
    assert builders.finish(run).state == State.COMPLETED
    assert run.hold_reason == ""


def test_a_server_that_is_too_old_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sample()
    monkeypatch.setattr("migration_portal.databases.OLDEST", 990000)
    with pytest.raises(WrongVersion, match="legacy database: It runs PostgreSQL .* 99 or later is needed"):
        start(by="tester")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of a megabyte that the server may write to."""
    user = embedded._server_user()
    directory = Path(tempfile.mkdtemp(prefix="portal-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(directory)]
    if user is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        directory.rmdir()
        pytest.skip("only root can mount the small disk that this test fills")
    os.chown(directory, user.pw_uid, user.pw_gid)
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)
    directory.rmdir()


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
