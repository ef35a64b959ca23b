"""Applying and rolling back: whole or not at all, and never a script that was changed since."""

from dataclasses import replace
from pathlib import Path

import pytest

from migration_portal.audit.models import Event
from migration_portal.refusal import Refusal
from migration_portal.schema import apply, scripts
from migration_portal.schema.scripts import Script, ScriptFailed, ScriptTampered
from tests import builders
from tests.world import World

EXTRA = Script("900_extra", "CREATE TABLE extra (id int);", "DROP TABLE extra;", (("table", "extra"),))


def test_all_scripts_roll_back_and_apply_again(world: World) -> None:
    names = [script.name for script in scripts.read(apply.DIRECTORY)]
    assert apply.roll_back(by="tester", reason="rehearsal") == names[::-1]
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    assert apply.apply(by="tester") == names
    assert Event.objects.filter(verb="apply_script").count() == len(names)
    assert Event.objects.filter(verb="roll_back_script", reason="rehearsal").count() == len(names)


def test_applying_again_is_harmless(world: World) -> None:
    assert apply.apply(by="tester") == []


def test_a_script_changed_after_it_was_applied_is_refused(world: World) -> None:
    with world.iam() as iam:
        scripts.apply(iam, [EXTRA], by="tester")
        changed = replace(EXTRA, up="CREATE TABLE extra (id bigint);")
        with pytest.raises(ScriptTampered, match="900_extra: The script was changed"):
            scripts.apply(iam, [changed], by="tester")
        assert scripts.states(iam, [changed])[0].tampered


def test_a_failing_script_leaves_nothing_half_applied(world: World) -> None:
    bad = replace(EXTRA, up="CREATE TABLE extra (id int); SELECT 1/0;")
    with world.iam() as iam:
        with pytest.raises(ScriptFailed, match="division by zero"):
            scripts.apply(iam, [bad], by="tester")
        assert iam.execute("SELECT to_regclass('extra')").fetchone() == (None,)
        assert not scripts.states(iam, [bad])[0].applied


def test_a_broken_promise_rolls_the_script_back(world: World) -> None:
    bad = replace(EXTRA, promises=(("table", "extra"), ("index", "extra_idx"), ("column", "extra.id")))
    with world.iam() as iam:
        with pytest.raises(ScriptFailed, match="not there: index extra_idx"):
            scripts.apply(iam, [bad], by="tester")
        assert iam.execute("SELECT to_regclass('extra')").fetchone() == (None,)


def test_a_lock_that_cannot_be_had_is_a_named_error(world: World) -> None:
    blocked = replace(EXTRA, up="ALTER TABLE users ADD COLUMN x int;", promises=(("column", "users.x"),))
    with world.iam() as iam, world.iam() as other, other.transaction():
        other.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        with pytest.raises(ScriptFailed, match="Somebody keeps it locked"):
            scripts.apply(iam, [blocked], by="tester")


def test_tables_with_rows_are_not_rolled_back(world: World) -> None:
    world.sample()
    builders.migrated(world)
    before = _states(world)
    with pytest.raises(ScriptFailed, match="Nothing was rolled back.*tenant_settings"):
        apply.roll_back(by="tester", reason="oops")
    assert _states(world) == before and not Event.objects.filter(verb="roll_back_script").exists()


def test_a_column_with_values_is_not_rolled_back_without_its_table(world: World) -> None:
    world.sample(users=60, tenants=5, rate=0)
    builders.migrated(world)
    world.sql("iam", "UPDATE tenant_capabilities SET decided_by = 'otto'")
    with pytest.raises(ScriptFailed, match="would be lost, of tenant_capabilities.decided_by"):
        apply.roll_back(by="tester", reason="oops", to="010_owned")
    world.sql("iam", "UPDATE tenant_capabilities SET decided_by = NULL")
    assert apply.roll_back(by="tester", reason="the column is empty", to="010_owned") == ["011_decided"]


def test_rolling_back_to_a_script_that_is_not_there_rolls_nothing_back(world: World) -> None:
    before = _states(world)
    with pytest.raises(Refusal, match="no such script"):
        apply.roll_back(by="tester", reason="oops", to="011")
    assert _states(world) == before


def _states(world: World) -> list[bool]:
    with world.iam() as iam:
        return [state.applied and not state.missing for state in scripts.states(iam, scripts.read(apply.DIRECTORY))]


def test_rolling_back_needs_a_reason(world: World) -> None:
    with pytest.raises(Refusal, match="needs a reason"):
        apply.roll_back(by="tester", reason="")


def test_a_script_without_a_way_back_is_refused(tmp_path: Path) -> None:
    (tmp_path / "000_x.up.sql").write_text("SELECT 1;")
    with pytest.raises(Refusal, match="cannot be rolled back"):
        scripts.read(tmp_path)


def test_a_dropped_object_is_reported_as_missing(world: World) -> None:
    with world.iam() as iam:
        iam.execute("DROP TABLE user_sessions")
        states = scripts.states(iam, scripts.read(apply.DIRECTORY))
    assert [state.missing for state in states if state.missing] == [
        ("table user_sessions", "index idx_user_sessions_expires_at")
    ]
