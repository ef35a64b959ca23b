"""What a stranger did with other schemas to rows that never came to the IAM, and to plans that change during or between runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from migration_portal.catchup.follow import follow
from migration_portal.catchup.revise import revise
from migration_portal.cutover import resolve
from migration_portal.cutover.models import Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.plan.errors import PlanError
from migration_portal.refusal import Refusal
from migration_portal.runs import uncapture
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from migration_portal.sample import examples
from tests import builders
from tests.attack.further import born
from tests.attack.test_later_phases import team
from tests.attack.test_later_phases import teams as odd_teams
from tests.attack.test_views import begun as begun_views
from tests.backups.conftest import backups as backups
from tests.backups.test_restore import databases_left as databases_left
from tests.backups.test_restore import restored, swapped
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.other_schemas import (
    BY_ORGANIZATION,
    EXAMPLES,
    ONE,
    TWO,
    migrated,
    organizations,
    users,
)
from tests.journeys.other_schemas import plan as plan
from tests.journeys.test_examples import begun
from tests.journeys.test_views import changed, firm
from tests.world import World


def test_a_where_that_takes_rows_out_is_refused_when_a_plan_is_revised(
    world: World, settings: Any, tmp_path: Path
) -> None:
    changed(world, settings, tmp_path)
    legacy(world, "UPDATE staff SET active = false WHERE login = 'firm1-1'")
    run = begun_views(world)
    one = firm(world, "firm1")
    assert moved(one).error == ""
    count = "SELECT count(*), count(desk) FROM staff"
    before = legacy(world, count)
    text = settings.MIGRATION_PLAN.read_text()
    text = text.replace('where = "is_superuser"', 'where = "is_superuser AND is_active"').replace(
        'where = "NOT is_superuser"', 'where = "NOT (is_superuser AND is_active)"'
    )
    settings.MIGRATION_PLAN.write_text(text)
    with suppress(PlanError):
        revise(run, by="tester", reason="a test")
    both_loops()
    assert legacy(world, count) == before


def test_what_comes_back_once_more_does_so_also_after_a_plan_was_revised_and_the_iam_went_away(
    world: World, plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(
        ("secret =", 'lossy = ["full_name"]\nsecret ='),
        (
            'full_name = "full_name"\nis_active = "is_active"\nis_superuser = "is_superuser"\ndate_joined',
            'full_name = "left(full_name, 2)"\nis_active = "is_active"\nis_superuser = "is_superuser"\ndate_joined',
        ),
    )
    users(world, "ann")
    run = migrated(world)
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET full_name = 'Ann of the IAM'")
    both_loops()
    assert legacy(world, "SELECT full_name FROM auth_user") == [("An",)]

    text = settings.MIGRATION_PLAN.read_text().replace("left(full_name, 2)", "full_name")
    settings.MIGRATION_PLAN.write_text(text)
    iam(
        world, "ALTER FUNCTION portal_capture.whole(text) RENAME TO away"
    )  # the IAM goes away after the portal has committed
    with pytest.raises(psycopg.Error):
        revise(run, by="tester", reason="a test")
    iam(world, "ALTER FUNCTION portal_capture.away(text) RENAME TO whole")
    with suppress(Refusal):
        revise(Run.objects.get(pk=run.pk), by="tester", reason="a test")
    both_loops()
    assert legacy(world, "SELECT full_name FROM auth_user") == [("Ann of the IAM",)]


@pytest.mark.parametrize("how", ["whole", "revised", "truncated queue"])
def test_what_the_iam_has_no_word_for_stays_in_legacy_when_all_is_looked_at(
    world: World, settings: Any, tmp_path: Path, how: str
) -> None:
    run = begun(world, settings, "05_roles_by_name")
    builders.decided()
    kept = legacy(world, "SELECT account, role FROM account_roles WHERE role = 'auditor'")
    assert len(kept) == 1
    [(tenant,)] = legacy(world, "SELECT company::text FROM accounts WHERE id = %s", kept[0][0])
    assert moved(tenant).error == ""
    both_loops()
    assert legacy(world, "SELECT account, role FROM account_roles WHERE role = 'auditor'") == kept
    if how == "whole":
        iam(world, "SELECT portal_capture.whole('user_roles')")
    elif how == "truncated queue":
        iam(world, "UPDATE portal_capture.brake SET upto = 0")
        iam(
            world,
            "UPDATE user_roles SET created_at = now() WHERE user_id = (SELECT id FROM users WHERE tenant_id = %s LIMIT 1)",
            tenant,
        )
    else:
        text = settings.MIGRATION_PLAN.read_text().replace(
            'since = "coalesce(created_at, now())"', 'since = "coalesce(created_at, now(), now())"'
        )
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(text)
        assert revise(run, by="tester", reason="a test") == ["user_roles"]
    both_loops()
    assert legacy(world, "SELECT account, role FROM account_roles WHERE role = 'auditor'") == kept


@pytest.mark.parametrize("how", ["whole", "revised", "swapped"])
def test_what_a_rule_keeps_out_stays_in_legacy_when_all_is_looked_at(
    world: World, settings: Any, tmp_path: Path, how: str, backups: Path, databases_left: list[str]
) -> None:
    settings.MIGRATION_PLAN = EXAMPLES / "03_keycloak" / "plan.toml"
    with world.legacy() as connection:
        examples.fill_legacy(connection, EXAMPLES / "03_keycloak")
    realm = legacy(world, "SELECT id FROM realm ORDER BY name LIMIT 1")[0][0]
    legacy(world, "INSERT INTO keycloak_role (id, name, realm_id, realm, client_role, client)"
                  " VALUES (gen_random_uuid()::text, 'of a client', %s, %s, true, 'shop')", realm, realm)  # fmt: skip
    legacy(world, "INSERT INTO user_entity (id, username, email_constraint, enabled, realm_id, service_account_client_link)"
                  " VALUES (gen_random_uuid()::text, 'service-account-shop', 'x', true, %s, 'shop')", realm)  # fmt: skip
    legacy(world, "INSERT INTO credential (id, type, user_id) SELECT gen_random_uuid()::text, 'secret', id FROM user_entity"
                  " WHERE username = 'service-account-shop'")  # fmt: skip
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    builders.decided()
    sync_tenants()
    both_loops()
    count = "SELECT (SELECT count(*) FROM keycloak_role), (SELECT count(*) FROM user_entity), (SELECT count(*) FROM credential)"
    before = legacy(world, count)
    if how == "swapped":
        made = restored(world, databases_left)
    assert moved(realm).error == ""
    both_loops()
    assert legacy(world, count) == before
    if how == "whole":
        iam(world, "SELECT portal_capture.whole('users'), portal_capture.whole('roles')")
    elif how == "swapped":
        swapped(made, databases_left)
        for _ in range(5):
            follow("reverse", seconds=0.01)
    else:
        text = settings.MIGRATION_PLAN.read_text().replace(
            'description = "description"', 'description = "(description)"', 2
        )
        text = text.replace('description = "(description)"', 'description = "description"', 1)
        text = text.replace(
            'username = "username"\nemail = "email"\nemail_constraint',
            'username = "(username)"\nemail = "email"\nemail_constraint',
        )
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(text)
        assert set(revise(run, by="tester", reason="a test")) == {"roles", "users"}
    if how != "swapped":
        both_loops()
    assert legacy(world, count) == before


def test_what_cannot_be_mapped_stays_in_legacy_when_all_of_the_iams_is_looked_at(
    world: World, settings: Any, tmp_path: Path
) -> None:
    odd_teams(world, settings, tmp_path)
    builders.decided()
    assert moved(team(world, "bolt")).error == ""
    iam(world, "SELECT portal_capture.whole('users')")
    both_loops()
    assert legacy(world, "SELECT login FROM people ORDER BY 1") == [("ann",), ("bob",), ("gone",)]


def test_a_row_kept_back_stays_in_legacy_also_by_the_default_plan(world: World) -> None:
    builders.legacy_tables(world)
    acme = builders.tenant(world, name="Acme")
    builders.user(world, acme, username="ann", email="same@example.org")
    builders.user(world, acme, username="odd", id="no-uuid")
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures

    builders.decided()
    sync_tenants()
    both_loops()
    assert moved(acme).error == ""
    before = legacy(world, "SELECT username FROM users ORDER BY 1")
    iam(world, "UPDATE portal_capture.brake SET upto = 0")  # the queue is full: triggers record whole tables
    iam(world, "UPDATE users SET full_name = 'Ann'")
    both_loops()
    assert legacy(world, "SELECT username FROM users ORDER BY 1") == before


def test_a_stray_that_nobody_decided_stays_when_all_of_the_iams_is_looked_at(world: World, plan: Any) -> None:
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    assert moved(TWO).error == ""
    users(world, "astray", organization="two")
    both_loops()
    [stray] = Stray.objects.filter(state="open")
    iam(world, "SELECT portal_capture.whole('users')")
    both_loops()
    assert legacy(world, "SELECT username FROM auth_user WHERE username = 'astray'") == [("astray",)]
    resolve.accept(stray, by="tester", reason="theirs")
    assert iam(world, "SELECT username FROM users WHERE username = 'astray'") == [("astray",)]


def test_a_stray_of_the_iams_stays_there_when_all_of_legacys_is_looked_at(world: World, plan: Any) -> None:
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    assert moved(TWO).error == ""
    born(world, ONE, "astray")
    legacy(world, "SELECT portal_capture.whole('auth_user')")
    both_loops()
    [stray] = Stray.objects.filter(state="open", direction="reverse")
    legacy(world, "SELECT portal_capture.whole('auth_user')")
    both_loops()
    assert iam(world, "SELECT username FROM users WHERE username = 'astray'") == [("astray",)]
    resolve.accept(stray, by="tester", reason="theirs")
    assert legacy(world, "SELECT username FROM auth_user WHERE username = 'astray'") == [("astray",)]


def test_a_table_that_is_left_out_of_the_next_run_stops_nobody(world: World, settings: Any, tmp_path: Path) -> None:
    begun(world, settings, "04_django")
    text, _, _ = (EXAMPLES / "04_django/plan.toml").read_text().partition('[[tables]]\nsource = "auth_user_groups"')
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text)
    assert report(builders.migrated(world, capture=True)).passed
    legacy(world, "DELETE FROM auth_user_groups WHERE id = (SELECT min(id) FROM auth_user_groups)")
    legacy(world, "UPDATE auth_user SET email = 'new@example.org' WHERE username = 'user7'")
    both_loops()
    assert iam(world, "SELECT email FROM users WHERE username = 'user7'") == [("new@example.org",)]


def test_a_rule_that_is_new_in_the_next_run_is_no_pass_while_the_iam_has_its_rows(world: World, plan: Any) -> None:
    plan()
    users(world, "ann", "bob")
    migrated(world)
    plan(("[tables.reverse]", "[tables.reject]\nbob = \"username = 'bob'\"\n\n[tables.reverse]"))
    run = builders.migrated(world, capture=True)
    builders.decided()
    verify(run, by="tester")
    builders.finish(run)
    both_loops()
    there = iam(world, "SELECT username FROM users ORDER BY 1")
    passed, refused = report(Run.objects.get(pk=run.pk)).passed, moved(ONE).error
    assert there == [("ann",)] or not passed, (there, refused)


def test_an_expression_that_is_another_in_the_next_run(world: World, plan: Any) -> None:
    plan()
    users(world, "Ann", "Bob")
    migrated(world)
    plan(('email = "email"\nhashed', 'email = "lower(email)"\nhashed'), ("secret =", 'lossy = ["email"]\nsecret ='))
    two = builders.migrated(world, capture=True)
    assert report(two).passed
    emails = "SELECT email FROM users ORDER BY 1"
    assert iam(world, emails) == [("ann@example.org",), ("bob@example.org",)]
    undo(Run.objects.get(pk=two.pk), by="t", reason="r")
    builders.finish(Run.objects.get(pk=two.pk))
    assert iam(world, emails) == [("Ann@example.org",), ("Bob@example.org",)]
    legacy(world, "UPDATE auth_user SET full_name = 'Since'")
    uncapture.remove_leftovers()
    both_loops()
    assert iam(world, "SELECT DISTINCT full_name FROM users") == [("Since",)]
