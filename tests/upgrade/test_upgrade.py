"""An installation made by an earlier version starts under this one and continues where it was.

`<version>/<scenario>/` holds dumps of the three databases in the middle of a migration, and facts.json what was in them.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.test import Client

from config import embedded
from flags.decide import Subject
from flags.evaluate import explain
from flags.models import Flag, TenantHome
from migration_portal.audit import chain
from migration_portal.audit.models import Event, verb_text
from migration_portal.cutover import guard
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.engine import capture_queue
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import discard_rows
from migration_portal.runs.states import State
from migration_portal.runs.verify import verify
from tests import builders
from tests.cutover.moves import both_loops
from tests.servers import create, drop
from tests.stack import furnished
from tests.world import World

VERSIONS = Path(__file__).parent


def installation(world: World, version: str, scenario: str) -> dict[str, Any]:
    """Put the dumps in the place of the world's databases and upgrade the portal's own. Returns what was in them."""
    place = VERSIONS / version / scenario
    for database in ("portal", "legacy", "iam"):
        name = f"{world.name}_{database}"
        drop(name)
        create(name, world.server)
        with psycopg.connect(world.url(database), autocommit=True) as connection:
            connection.execute(gzip.decompress((place / f"{database}.sql.gz").read_bytes()))
    _same_stamps(world)
    call_command("migrate", verbosity=0)
    return dict(json.loads((place / "facts.json").read_text()))


def _same_stamps(world: World) -> None:
    """A dump forgets the transactions that wrote its rows, an upgrade in place does not: tell the ledger the new ones."""
    with world.iam() as iam:
        for table in ("tenants", "tenant_settings", "users", "user_roles", "licenses"):
            iam.execute(
                "INSERT INTO portal_ledger.commits (run, table_name, xid)"
                f" SELECT DISTINCT c.run, c.table_name, t.xmin FROM portal_ledger.commits AS c, {table} AS t"
                " WHERE c.table_name = %s",
                [table],
            )


@furnished
def moved(world: World) -> dict[str, Any]:
    """0.1.0 with tenants on both sides, entries queued on both, a move requested, the guard on."""
    return installation(world, "0.1.0", "moved")


def test_runs_homes_and_moves_are_carried_over(moved: dict[str, Any]) -> None:
    assert [list(row) for row in Run.objects.order_by("pk").values_list("id", "state", "verification", "capture")] == (
        moved["runs"]
    )
    homes = TenantHome.objects.order_by("tenant").values_list("tenant", "home", "wave")
    assert [list(row) for row in homes] == [row[:3] for row in moved["homes"]]
    words = {"asked": "requested", "aborted": "blocked"}
    moves = Cutover.objects.order_by("id").values_list("tenant_id", "home", "state")
    assert [list(row) for row in moves] == [[t, home, words.get(state, state)] for t, home, state in moved["moves"]]


def test_the_audit_chain_is_intact_and_its_old_verbs_are_readable(moved: dict[str, Any]) -> None:
    assert Event.objects.count() == moved["events"]
    assert chain.verify().intact
    read = {verb_text(verb) for verb in Event.objects.values_list("verb", flat=True)}
    assert {"request move", "block move", "restore stray"} <= read
    chain.record("start")
    assert chain.verify().intact


def test_queued_changes_are_applied_in_both_directions_and_the_requested_move_is_made(
    world: World, moved: dict[str, Any]
) -> None:
    discard_rows(list(QuarantinedRow.objects.filter(state="open")), by="tester", reason="the sample's own dirt")
    with world.legacy() as legacy, world.iam() as iam:
        both_loops()
        sync_tenants()
        assert work() == 1
        assert TenantHome.objects.get(pk=moved["d"]).home == "iam", Cutover.objects.first().error
        bios = "SELECT DISTINCT bio FROM users WHERE tenant_id = %s"
        assert iam.execute(bios, [moved["d"]]).fetchall() == [("queued in legacy",)]
        both_loops()
        assert legacy.execute(bios, [moved["a"]]).fetchall() == [("queued in the IAM",)]
        assert capture_queue.lag(legacy).entries == capture_queue.lag(iam).entries == 0


def test_stray_writes_and_quarantine_are_carried_over(world: World, moved: dict[str, Any]) -> None:
    both_loops()
    words = {"taken": "accepted", "dropped": "restored"}
    known = Stray.objects.order_by("id").values_list("direction", "table_name", "what", "state")
    assert [list(row) for row in known][: len(moved["strays"])] == [
        [*row, words.get(state, state)] for *row, state in moved["strays"]
    ]
    assert QuarantinedRow.objects.count() >= sum(row[3] for row in moved["quarantine"])


def test_the_guard_still_refuses_on_both_sides(world: World, moved: dict[str, Any]) -> None:
    assert guard.mode().on
    with world.legacy() as legacy, pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy.execute("UPDATE users SET bio = 'no' WHERE tenant_id = %s", [moved["a"]])
    with world.iam() as iam, pytest.raises(psycopg.Error, match="at home on the other system"):
        iam.execute("UPDATE users SET bio = 'no' WHERE tenant_id = %s", [moved["b"]])


def test_groups_flags_and_records_of_traffic_keep_their_place(world: World, moved: dict[str, Any]) -> None:
    viewer = Client()
    assert viewer.login(username="viewer", password="secret-pass-1")
    pages = ("cutover/", "runs/run/", "features/", "traffic/", "audit/event/", "clients/", "legacy_compat/mismatch/")
    for page in ("", *pages, f"cutover/tenant/{moved['a']}/", "inventory/inventory/", "preflight/"):
        assert viewer.get(f"/admin/{page}").status_code == 200, page
    flag = Flag.objects.get(name="social_login_enabled")
    assert (flag.percentage, flag.waves, flag.ramps.get().state) == (5, ["pilot"], "running")
    assert "Off" in explain("database_migration_complete", Subject(), fresh=True).why


def test_both_sides_verify_after_the_upgrade(world: World, moved: dict[str, Any]) -> None:
    both_loops()
    run = Run.objects.get(capture=True)
    verify(run, by="tester")
    builders.finish(run)
    differing = {name: table.mismatched for name, table in report(run).tables.items() if table.mismatched}
    assert set(differing) <= {"users"}  # the row that a stray write left different on purpose


def test_a_run_that_was_under_way_is_finished(world: World) -> None:
    installation(world, "0.1.0", "copying")
    run = Run.objects.get()
    with world.iam() as iam:
        iam.execute("UPDATE portal_ledger.chunks SET lease_until = now() - interval '1 s' WHERE state = 'claimed'")
    assert builders.finish(run).state == State.COMPLETED, run.error
    result = report(run)
    assert result.accounted, result.as_dict()
    both_loops()
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users WHERE bio = 'written meanwhile'").fetchone() == (1,)
        assert iam.execute("SELECT count(*) FROM portal_ledger.suspended WHERE restored_at IS NULL").fetchone() == (0,)


def test_the_home_of_an_earlier_version_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_HOME", str(tmp_path))
    kept = {"postgres_port": 15001, "redis_port": 15002, "password": "p", "redis_password": "r", "secret_key": "s"}
    (tmp_path / "embedded.json").write_text(json.dumps(kept))
    assert embedded.database_url("portal") == "postgres://portal:p@127.0.0.1:15001/portal"
    assert embedded.settings().secret_key == "s"
