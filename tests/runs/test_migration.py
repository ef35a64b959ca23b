"""A whole run in one process: what arrives, what is set aside, and why."""

import json

import pytest

from migration_portal.audit.models import Event
from migration_portal.plan.errors import Refusal
from migration_portal.runs.models import IllegalTransition, QuarantinedRow, Run
from migration_portal.runs.pause import pause, resume
from migration_portal.runs.report import report
from migration_portal.runs.start import RunOverlaps, start
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from migration_portal.runs.work import work
from tests import builders
from tests.stack import World


def test_every_kind_of_dirt_is_set_aside_at_the_expected_count(world: World) -> None:
    dirt = world.sample(users=1200, tenants=12, rate=0.02)
    result = report(builders.migrated(world))
    assert {name: table.reasons for name, table in result.tables.items()} == dirt.quarantined()
    assert {name: table.source for name, table in result.tables.items()} == dirt.rows()
    assert result.passed


def test_source_is_copied_plus_quarantined_for_every_table(world: World) -> None:
    world.sample()
    for table in report(builders.migrated(world)).tables.values():
        assert table.source == table.copied + table.quarantined
        assert table.mismatched == 0


def test_values_arrive_unchanged(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world, name="شركة")
    payload = '{"odd":  "\\u0000 and \\ud83d\\ude00", "big": "' + "x" * 1_000_000 + '"}'
    key = builders.user(world, home, full_name="Pat O&#x27;Brien \u200b e\u0301", is_active=None, email="")
    builders.licence(world, home, license_key="SIG/1/A", payload=payload)
    builders.migrated(world)
    with world.iam() as iam:
        row = iam.execute(
            "SELECT full_name, is_active, email, email_verified FROM users WHERE id = %s", [key]
        ).fetchone()
        assert row == ("Pat O&#x27;Brien \u200b e\u0301", None, "", False)
        assert iam.execute("SELECT payload::text FROM licenses").fetchone() == (payload,)


def test_superusers_become_admins_and_others_users(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    boss, clerk = builders.user(world, home, is_superuser=True), builders.user(world, home, is_superuser=None)
    builders.migrated(world)
    with world.iam() as iam:
        roles = dict(
            iam.execute("SELECT user_id::text, r.name FROM user_roles JOIN roles r ON r.id = role_id").fetchall()
        )
    assert roles == {boss: "admin", clerk: "user"}


def test_constraints_are_all_back_and_valid_after_a_load(world: World) -> None:
    with world.iam() as iam:
        before = _constraints(iam)
    world.sample()
    builders.migrated(world)
    with world.iam() as iam:
        assert _constraints(iam) == before


def _constraints(iam):
    constraints = iam.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    ).fetchall()
    indexes = iam.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    ).fetchall()
    return constraints, indexes


def test_dry_run_leaves_the_target_untouched_and_foretells_the_quarantine(world: World) -> None:
    dirt = world.sample()
    run = builders.migrated(world, dry_run=True)
    assert run.state == State.COMPLETED
    result = report(run)
    assert {name: table.reasons for name, table in result.tables.items()} == dirt.quarantined()
    assert result.passed, result.checks
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert iam.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'portal_dry%'").fetchone() == (0,)


def test_a_second_run_changes_nothing_and_finds_the_same(world: World) -> None:
    dirt = world.sample()
    builders.migrated(world)
    with world.iam() as iam:
        before = iam.execute("SELECT id, xmin::text FROM users ORDER BY id").fetchall()
    again = report(builders.migrated(world))
    with world.iam() as iam:
        assert iam.execute("SELECT id, xmin::text FROM users ORDER BY id").fetchall() == before
    assert again.accounted, again.as_dict()
    assert {name: table.reasons for name, table in again.tables.items()} == dirt.quarantined()


def test_a_second_run_takes_over_what_changed_in_legacy(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    key = builders.user(world, home)
    builders.migrated(world)
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET full_name = 'Changed' WHERE id = %s", [key])
    with world.iam() as iam:
        iam.execute("UPDATE users SET email_verified = true WHERE id = %s", [key])
    result = report(builders.migrated(world))
    with world.iam() as iam:
        row = iam.execute("SELECT full_name, email_verified FROM users").fetchone()
    assert row == ("Changed", True)  # a default is the IAM's own once it is written
    assert result.passed


def test_two_runs_of_one_plan_cannot_overlap(world: World) -> None:
    world.sample()
    start(by="one")
    with pytest.raises(RunOverlaps, match="Run 1 of this plan is running"):
        start(by="two")
    assert Run.objects.count() == 1


def test_pause_keeps_finished_chunks(world: World) -> None:
    world.sample()
    run = start(by="tester")
    pause(run, by="tester")
    assert builders.finish(run).state == State.PAUSED
    assert work(run.pk) == 0
    resume(run, by="tester")
    assert builders.finish(run).state == State.COMPLETED
    assert report(run).passed


def test_the_second_press_of_a_button_is_refused(world: World) -> None:
    world.sample()
    run = start(by="one")
    same = Run.objects.get(pk=run.pk)
    pause(run, by="one")
    with pytest.raises(IllegalTransition, match="It is pausing"):
        pause(same, by="two")


def test_undo_removes_exactly_what_the_run_wrote(world: World) -> None:
    with world.iam() as iam:
        before = _constraints(iam)
    world.sample()
    run = builders.migrated(world)
    undo(run, by="tester", reason="rehearsal")
    assert builders.finish(run).state == State.UNDONE
    with world.iam() as iam:
        for table in ("tenants", "users", "licenses", "tenant_settings", "user_roles"):
            assert iam.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert iam.execute("SELECT count(*) FROM roles").fetchone() == (2,)
        assert _constraints(iam) == before


def test_undo_leaves_and_reports_rows_edited_since(world: World) -> None:
    builders.legacy_tables(world)
    home, other = builders.tenant(world), builders.tenant(world)
    edited, plain = builders.user(world, home), builders.user(world, other)
    run = builders.migrated(world)
    with world.iam() as iam:
        iam.execute("UPDATE users SET bio = 'mine now' WHERE id = %s", [edited])
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert [str(row[0]) for row in iam.execute("SELECT id FROM users")] == [edited]
        assert [str(row[0]) for row in iam.execute("SELECT id FROM tenants")] == [home]
        left = iam.execute("SELECT table_name, key, reason FROM portal_ledger.left_in_place ORDER BY 1").fetchall()
    assert left == [("tenants", [home], "still referred to"), ("users", [edited], "edited since")]
    assert report(run).left_in_place == {"tenants": 1, "users": 1}
    assert plain


def test_undo_restores_what_the_run_overwrote(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world, name="New name")
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'Old name', 'old')", [home])
    newcomer = builders.tenant(world)
    run = builders.migrated(world)
    with world.iam() as iam:
        assert iam.execute("SELECT name FROM tenants WHERE id = %s", [home]).fetchone() == ("New name",)
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert iam.execute("SELECT id::text, name, slug FROM tenants").fetchall() == [(home, "Old name", "old")]
    assert newcomer


def test_a_cancelled_run_must_be_undone_before_the_next(world: World) -> None:
    from migration_portal.runs.cancel import cancel

    world.sample()
    run = start(by="tester")
    from migration_portal.engine import ledger
    from migration_portal.engine.perform import perform
    from migration_portal.runs.advance import advance
    from migration_portal.runs.opening import sides_of

    advance(run)
    with sides_of(run, "test") as sides:
        perform(sides, ledger.claim(sides.iam, run.key, "test"))
    cancel(run, by="tester", reason="changed our minds")
    assert builders.finish(run).state == State.CANCELLED
    with pytest.raises(RunOverlaps, match="set aside"):
        start(by="tester")
    undo(run, by="tester", reason="clean up")
    assert builders.finish(run).state == State.UNDONE
    assert builders.migrated(world).state == State.COMPLETED


def test_undo_needs_a_reason(world: World) -> None:
    world.sample()
    run = builders.migrated(world)
    with pytest.raises(Refusal, match="needs a reason"):
        undo(run, by="tester", reason=" ")


def test_verify_again_finds_what_changed_since(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    key = builders.user(world, home)
    run = builders.migrated(world)
    with world.iam() as iam:
        iam.execute("UPDATE users SET hashed_password = 'x' WHERE id = %s", [key])
    verify(run, by="tester")
    builders.finish(run)
    result = report(run)
    assert result.tables["users"].mismatched == 1
    assert not result.passed
    from migration_portal.runs.models import Finding

    finding = Finding.objects.get(run=run.key, verification=2)
    assert (finding.key, finding.field, finding.legacy_value, finding.iam_value) == (
        [key], "hashed_password", "(secret)", "(secret)",
    )  # fmt: skip


def test_no_secret_reaches_quarantine_findings_or_audit(world: World) -> None:
    world.sample(rate=0.05)
    builders.migrated(world)
    with world.iam() as iam:
        kept = json.dumps(
            [row[0] for row in iam.execute("SELECT row_to_json(q)::text FROM portal_ledger.quarantine q")]
        )
    assert "$2b$" not in kept
    assert '"hashed_password": "(secret)"' in json.dumps(QuarantinedRow.objects.filter(table_name="users").first().data)
    assert "$2b$" not in json.dumps(list(Event.objects.values_list("data", flat=True)))


def test_every_verb_is_on_the_audit_record(world: World) -> None:
    world.sample()
    run = start(by="anna")
    pause(run, by="bert", reason="lunch")
    builders.finish(run)
    resume(run, by="bert")
    builders.finish(run)
    events = [(event.verb, event.actor, event.reason) for event in Event.objects.filter(run=run.pk).order_by("id")]
    assert events == [
        ("start", "anna", ""), ("pause", "bert", "lunch"), ("run_paused", "system", ""),
        ("resume", "bert", ""), ("run_completed", "system", ""),
    ]  # fmt: skip
