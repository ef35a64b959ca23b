"""Bad situations: a named error where the operator is, with what to do, and state unchanged."""

from pathlib import Path

import pytest
from django.conf import settings

from migration_portal.plan.errors import PlanError
from migration_portal.runs.models import Chunk, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import retry
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from tests import builders
from tests.stack import World


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


def test_a_lost_privilege_fails_the_run_and_retry_finishes_it(world: World) -> None:
    world.sample()
    run = start(by="tester")
    with world.iam() as iam:
        iam.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE insufficient_privilege USING MESSAGE = 'permission denied for table licenses'; END $$"
        )
        iam.execute("CREATE TRIGGER refuse BEFORE INSERT ON licenses FOR EACH STATEMENT EXECUTE FUNCTION refuse()")
    for _ in range(12):
        with world.iam() as iam:
            iam.execute("UPDATE portal_ledger.chunks SET not_before = '-infinity'")
        from migration_portal.runs.advance import advance
        from migration_portal.runs.work import work

        work(run.pk)
        advance(run)
    run.refresh_from_db()
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
        from migration_portal.runs.advance import advance
        from migration_portal.runs.work import work

        advance(run)
        run.refresh_from_db()
        assert "A transaction has been open on the legacy database" in run.hold_reason
        assert work(run.pk) == 0
    monkeypatch.setattr(settings, "LEGACY_MAX_TRANSACTION_SECONDS", 900)
    assert builders.finish(run).state == State.COMPLETED
    assert run.hold_reason == ""
