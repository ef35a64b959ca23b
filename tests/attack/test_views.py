"""What a stranger did to plans whose source is a view: keys that come twice, rows it hides, strays, children, odd links."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migration_portal.catchup.models import FlowStatus
from migration_portal.catchup.revise import revise
from migration_portal.cutover import guard, resolve
from migration_portal.cutover.models import Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.preflight import preflight
from migration_portal.plan.errors import PlanError
from migration_portal.rehearsal import moves
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.start import start
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.engine.changes import same
from tests.journeys.test_views import REFUSED, changed, firm, unlike
from tests.world import World


def begun(world: World, *, guarded: bool = True) -> Run:
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", iam(world, "SELECT error FROM portal_ledger.chunks WHERE error <> ''")
    sync_tenants()
    both_loops()
    if guarded:
        guard.switch(on=True, by="tester")
    return run


def example(world: World, settings: Any, tmp_path: Path, *replaced: tuple[str, str], guarded: bool = True) -> Run:
    changed(world, settings, tmp_path, *replaced)
    return begun(world, guarded=guarded)


def twice(world: World, login: str, of: str) -> str:
    """One of the staff gets a customer with the same id. Returns it."""
    [(id,)] = legacy(world, "SELECT id FROM staff WHERE login = %s", login)
    legacy(world, "INSERT INTO customers (id, firm, mail, password) VALUES (%s, %s, 'twice@example.org', 'x')", id, of)
    return str(id)


def mails(world: World, *logins: str) -> list[str]:
    return [
        row[0] for row in legacy(world, "SELECT mail FROM staff WHERE login = ANY(%s) ORDER BY login", list(logins))
    ]


def stopped() -> list[str]:
    return [status.error for status in FlowStatus.objects.exclude(error="")]


def hold_still(world: World) -> None:
    """Try again at once what waits to be tried again."""
    for side in (legacy, iam):
        side(world, "UPDATE portal_capture.queue SET not_before = now()")
    both_loops()


def test_a_key_that_comes_twice_keeps_the_iams_row_and_everybody_else_going(
    world: World, settings: Any, tmp_path: Path
) -> None:
    run = example(world, settings, tmp_path)
    one, two = firm(world, "firm1"), firm(world, "firm2")
    id = twice(world, "firm1-1", one)
    both_loops()
    assert iam(world, "SELECT username FROM users WHERE id = %s", id) == [("firm1-1",)]
    legacy(world, "UPDATE staff SET mail = 'again@example.org' WHERE id = %s", id)
    both_loops()
    legacy(world, "UPDATE staff SET mail = 'two@example.org' WHERE login = 'firm2-1'")
    both_loops()
    assert stopped() == [] and iam(world, "SELECT email FROM users WHERE username = 'firm2-1'") == [
        ("two@example.org",)
    ]
    for _ in range(7):
        hold_still(world)
    [kept] = QuarantinedRow.objects.filter(run=run.key, state="open")
    assert kept.reason == "key_twice" and kept.source_key == [id]
    assert moved(two).error == "" and "In quarantine: 1" in moved(one).error
    legacy(world, "DELETE FROM staff WHERE id = %s", id)
    both_loops()
    assert unlike(world) == set() and not QuarantinedRow.objects.filter(run=run.key, state="open").exists()


def test_a_key_that_legacy_gives_twice_while_its_tenant_is_away_stops_nobody(
    world: World, settings: Any, tmp_path: Path
) -> None:
    example(world, settings, tmp_path)
    one, two, three = (firm(world, f"firm{n}") for n in (1, 2, 3))
    assert moved(one).error == moved(three).error == ""
    twice(world, "firm1-1", two)
    both_loops()
    iam(world, "UPDATE users SET email = 's@example.org' WHERE username = 'firm1-1'")
    both_loops()
    iam(world, "UPDATE users SET email = 'three@example.org' WHERE username = 'firm3-1'")
    both_loops()
    assert stopped() == [] and mails(world, "firm1-1", "firm3-1") == ["s@example.org", "three@example.org"]


def test_who_cannot_leave_one_table_is_not_put_into_the_other(world: World, settings: Any, tmp_path: Path) -> None:
    changed(world, settings, tmp_path)
    legacy(world, "CREATE TABLE orders (staff uuid NOT NULL REFERENCES staff)")
    legacy(world, "INSERT INTO orders SELECT id FROM staff WHERE login = 'firm1-1'")
    begun(world)
    one, two = firm(world, "firm1"), firm(world, "firm2")
    assert moved(one).error == moved(two).error == ""
    iam(world, "UPDATE users SET is_superuser = false WHERE username = 'firm1-1'")
    both_loops()
    assert legacy(world, "SELECT count(*) FROM customers WHERE mail LIKE 'firm1-1@example%%'") == [(0,)]
    iam(world, "UPDATE users SET email = 'two@example.org' WHERE username = 'firm2-1'")
    both_loops()
    assert mails(world, "firm2-1") == ["two@example.org"]
    iam(world, "UPDATE users SET is_superuser = true WHERE username = 'firm1-1'")
    both_loops()
    for tenant in (one, two):
        assert moved(tenant, "legacy").error == ""
    assert unlike(world) == set()


def test_strays_are_listed_of_each_table(world: World, settings: Any, tmp_path: Path) -> None:
    example(world, settings, tmp_path, guarded=False)
    assert moved(firm(world, "firm1")).error == ""
    iam(world, "UPDATE users SET email = 's@x' WHERE username = 'firm2-1'")
    iam(world, "UPDATE users SET email = 'c@x' WHERE username = 'firm2-1@customer.example.org'")
    iam(world, "DELETE FROM users WHERE username IN ('firm2-2', 'firm2-2@customer.example.org')")
    both_loops()
    assert sorted(Stray.objects.values_list("what", flat=True)) == ["deleted", "deleted", "written", "written"]


def test_strays_are_listed_of_each_table_where_all_of_the_iams_go(world: World, settings: Any, tmp_path: Path) -> None:
    example(world, settings, tmp_path, guarded=False)
    assert moved(firm(world, "firm1")).error == ""
    iam(world, "TRUNCATE users CASCADE")
    both_loops()
    assert Stray.objects.count() == 480


SOFT = ("FROM staff\n", "FROM staff WHERE NOT gone\n")


def hidden(world: World, settings: Any, tmp_path: Path) -> Run:
    """The view hides one of the staff."""
    changed(world, settings, tmp_path, ('ignored = ["desk"]', 'ignored = ["desk", "gone"]'))
    legacy(world, "ALTER TABLE staff ADD gone boolean NOT NULL DEFAULT false")
    [(made,)] = legacy(world, "SELECT pg_get_viewdef('everybody')")
    assert "FROM staff" in made
    legacy(world, f"CREATE OR REPLACE VIEW everybody AS {made.replace('FROM staff', 'FROM staff WHERE NOT gone', 1)}")
    legacy(world, "UPDATE staff SET gone = true WHERE login = 'firm1-1'")
    return begun(world)


def test_rows_that_a_view_hides_are_in_nobodys_way_and_stay(world: World, settings: Any, tmp_path: Path) -> None:
    run = hidden(world, settings, tmp_path)
    one = firm(world, "firm1")
    assert moved(one).error == ""
    settings.MIGRATION_PLAN.write_text(
        settings.MIGRATION_PLAN.read_text().replace('login = "username"', 'login = "btrim(username)"')
    )
    revise(run, by="tester", reason="a test")
    both_loops()
    assert legacy(world, "SELECT login FROM staff WHERE gone") == [("firm1-1",)]
    assert moved(one, "legacy").error == "" and legacy(world, "SELECT login FROM staff WHERE gone") == [("firm1-1",)]


def test_a_row_that_falls_out_of_the_view_goes_and_one_that_falls_into_it_comes(
    world: World, settings: Any, tmp_path: Path
) -> None:
    hidden(world, settings, tmp_path)
    legacy(world, "UPDATE staff SET gone = NOT gone WHERE login IN ('firm1-1', 'firm1-2')")
    both_loops()
    found = iam(world, "SELECT username FROM users WHERE username IN ('firm1-1', 'firm1-2')")
    assert found == [("firm1-1",)]


def test_looking_at_all_rows_keeps_who_is_of_no_table(world: World, settings: Any, tmp_path: Path) -> None:
    example(world, settings, tmp_path, ("NOT is_superuser", "NOT is_superuser AND email IS NOT NULL"))
    assert moved(firm(world, "firm1")).error == ""
    iam(world, "UPDATE users SET email = NULL WHERE username = 'firm1-1@customer.example.org'")
    both_loops()
    iam(world, "SELECT portal_capture.whole('users')")
    both_loops()
    assert legacy(world, "SELECT count(*) FROM customers WHERE mail = 'firm1-1@customer.example.org'") == [(1,)]


def test_who_would_come_back_into_two_tables_waits_and_stops_nobody(
    world: World, settings: Any, tmp_path: Path
) -> None:
    example(
        world, settings, tmp_path, ('where = "is_superuser"', 'where = "is_superuser OR NOT is_active"'),
        ('where = "NOT is_superuser"', 'where = "NOT is_superuser OR email IS NULL"'),
    )  # fmt: skip
    legacy(world, "UPDATE customers SET blocked = false")
    both_loops()
    one, two = firm(world, "firm1"), firm(world, "firm2")
    assert moved(one).error == moved(two).error == ""
    iam(world, "UPDATE users SET is_active = false WHERE username = 'firm1-1@customer.example.org'")
    both_loops()
    iam(world, "UPDATE users SET email = 'two@example.org' WHERE username = 'firm2-1'")
    both_loops()
    assert stopped() == [] and mails(world, "firm2-1") == ["two@example.org"]
    assert legacy(world, "SELECT count(*) FROM staff WHERE login LIKE '%%customer%%'") == [(0,)]
    assert moved(two, "legacy").error == "" and "1 of its rows differ" in moved(one, "legacy").error


GRANTS = """
[[tables]]
source = "grants"
target = "user_roles"
key = ["person", "role"]
tenant_through = { users = "user_id" }
[tables.columns]
user_id = "person"
role_id = { lookup = "roles", by = "name", value = "role" }
[tables.reverse]
person = "user_id"
role = { lookup = "roles", by = "name", value = "role_id" }
"""


def test_children_of_a_views_rows_go_there_and_back(world: World, settings: Any, tmp_path: Path) -> None:
    changed(world, settings, tmp_path)
    settings.MIGRATION_PLAN.write_text(settings.MIGRATION_PLAN.read_text() + GRANTS)
    legacy(world, "CREATE TABLE grants (person uuid NOT NULL, role text NOT NULL, PRIMARY KEY (person, role))")
    legacy(world, "INSERT INTO grants SELECT id, 'user' FROM everybody")
    begun(world)
    one = firm(world, "firm1")

    def unlike_roles() -> set[Any]:
        there = legacy(world, "SELECT person::text, role FROM grants")
        here = iam(world, "SELECT user_id::text, name FROM user_roles JOIN roles ON roles.id = role_id")
        return set(there) ^ set(here)

    assert unlike_roles() == set() and moved(one).error == ""
    of_one = "person IN (SELECT id FROM everybody WHERE firm = %s)"
    with pytest.raises(psycopg.Error, match=REFUSED):
        legacy(world, f"UPDATE grants SET role = 'admin' WHERE {of_one}", one)
    admin = "(SELECT id FROM roles WHERE name = 'admin')"
    for name in ("firm1-1", "firm1-1@customer.example.org"):
        iam(
            world,
            f"UPDATE user_roles SET role_id = {admin} WHERE user_id = (SELECT id FROM users WHERE username = %s)",
            name,
        )
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'firm1-2')")
    both_loops()
    assert unlike_roles() == set()
    assert moved(one, "legacy").error == "" and unlike_roles() == set() and unlike(world) == set()


def test_a_row_that_a_rule_rejects_keeps_nobody_once_it_is_decided(world: World, settings: Any, tmp_path: Path) -> None:
    example(
        world,
        settings,
        tmp_path,
        ("[tables.reads.staff]\n", "[tables.reject]\nodd = \"login = 'firm1-1'\"\n\n[tables.reads.staff]\n"),
    )
    builders.decided()
    assert moved(firm(world, "firm1")).error == "" and moved(firm(world, "firm1"), "legacy").error == ""
    assert legacy(world, "SELECT count(*) FROM staff WHERE login = 'firm1-1'") == [(1,)]


def error_of(world: World) -> str:
    assert builders.migrated(world, capture=True).state == "failed"
    return str(iam(world, "SELECT error FROM portal_ledger.chunks WHERE error <> ''")[0][0])


def test_a_table_that_only_a_rule_needs_must_be_watched(world: World, settings: Any, tmp_path: Path) -> None:
    changed(
        world, settings, tmp_path,
        ("[tables.reads.staff]\n", '[tables.reject]\nbarred = "why IS NOT NULL"\n\n[tables.reads.staff]\n'),
    )  # fmt: skip
    legacy(world, "CREATE TABLE barred (person uuid PRIMARY KEY, why text)")
    legacy(world, "ALTER VIEW everybody RENAME TO all_of_them")
    legacy(world, "CREATE VIEW everybody AS SELECT a.*, why FROM all_of_them AS a LEFT JOIN barred ON person = id")
    assert "It is made of barred" in error_of(world)


def test_whose_a_row_is_may_not_be_asked_of_the_row_that_is_gone(world: World, settings: Any, tmp_path: Path) -> None:
    asked = "(SELECT e.firm FROM everybody AS e WHERE e.id = customers.id)"
    changed(world, settings, tmp_path, ('tenant = "firm"\nwhere = "NOT', f'tenant = "{asked}"\nwhere = "NOT'))
    assert [each for each in preflight()["findings"] if "looked up in itself" in each["what"]]
    assert "looked up in itself" in error_of(world)


def test_a_view_of_which_nothing_is_watched_is_not_captured(world: World, settings: Any, tmp_path: Path) -> None:
    changed(world, settings, tmp_path)
    text = settings.MIGRATION_PLAN.read_text()
    place, end = text.index("[tables.reads.staff]"), text.index("[tables.columns]", text.index("[tables.reads.staff]"))
    settings.MIGRATION_PLAN.write_text(text[:place] + text[end:])
    legacy(world, "ALTER VIEW everybody RENAME TO all_of_them")
    body = "CREATE FUNCTION found() RETURNS SETOF all_of_them LANGUAGE plpgsql AS 'BEGIN RETURN QUERY TABLE all_of_them; END'"
    legacy(world, f"{body}; CREATE VIEW everybody AS SELECT * FROM found()")
    assert "nothing would be captured" in error_of(world)


BACK = "[tables.reads.customers.reverse]\nid = "
UNFOUND = {
    "tables of which none has all rows, and no where": (
        'where = "NOT is_superuser"\n', "", "would come back into customers, too",
    ),
    "a number": (f'{BACK}"id"', f'{BACK}{{ number = "id" }}', "cannot be numbered"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNFOUND)
def test_what_could_not_come_back_is_refused(world: World, settings: Any, tmp_path: Path, kind: str) -> None:
    old, new, why = UNFOUND[kind]
    changed(world, settings, tmp_path, (old, new))
    with pytest.raises(PlanError, match=why):
        start(by="tester")


def test_a_link_that_leads_to_no_row_is_refused(world: World, settings: Any, tmp_path: Path) -> None:
    changed(world, settings, tmp_path)
    legacy(world, "ALTER TABLE staff ADD code uuid UNIQUE NOT NULL DEFAULT gen_random_uuid()")
    text = settings.MIGRATION_PLAN.read_text().replace('link = { id = "id" }', 'link = { code = "id" }', 1)
    settings.MIGRATION_PLAN.write_text(text.replace('staff.reverse]\nid = "id"', 'staff.reverse]\ncode = "id"'))
    with pytest.raises(PlanError, match="leads to 100 of its rows"):
        start(by="tester")


def test_a_secret_under_another_name_is_not_shown(world: World, settings: Any, tmp_path: Path) -> None:
    old = 'email, username)"\npassword = "hashed_password'
    changed(world, settings, tmp_path, (old, old.replace("password =", "kept =") + " || 'z'"))
    legacy(world, "ALTER TABLE customers RENAME password TO kept")
    findings = preflight()["findings"]
    assert [each for each in findings if each["subject"] == "customers.kept"] and "$2b$" not in json.dumps(findings)


def test_the_example_leaves_nothing_unsaid(world: World, settings: Any, tmp_path: Path) -> None:
    changed(world, settings, tmp_path)
    assert [each for each in preflight()["findings"] if "mapped nowhere" in each["what"]] == []


def test_a_run_that_brought_a_key_twice_is_not_called_the_same(world: World, settings: Any, tmp_path: Path) -> None:
    run = example(world, settings, tmp_path)
    twice(world, "firm1-1", firm(world, "firm2"))
    both_loops()
    assert not same(run)


def test_what_goes_with_somebody_who_changes_sides_is_said(world: World, settings: Any, tmp_path: Path) -> None:
    changed(world, settings, tmp_path)
    legacy(world, "CREATE TABLE notes (person uuid NOT NULL REFERENCES customers ON DELETE CASCADE)")
    found = [each for each in preflight()["findings"] if each["subject"] == "customers"]
    assert [each["what"] for each in found] == [
        "Who becomes one of another table in the IAM waits while notes refer to them."
    ]


def silently(world: World, table: str, statement: str) -> None:
    for how in ("DISABLE", "ENABLE"):
        legacy(world, f"ALTER TABLE {table} {how} TRIGGER USER")
        if how == "DISABLE":
            legacy(world, statement)


def test_what_legacy_lost_behind_our_back_keeps_its_tenant_in_the_iam(
    world: World, settings: Any, tmp_path: Path
) -> None:
    run = example(world, settings, tmp_path)
    one = firm(world, "firm1")
    assert moved(one).error == ""
    silently(world, "customers", "DELETE FROM customers WHERE mail = 'firm1-4@customer.example.org'")
    silently(world, "staff", "UPDATE staff SET mail = 'odd@example.org' WHERE login = 'firm1-4'")
    assert not same(run) and "2 of its rows differ" in moved(one, "legacy").error


@pytest.mark.parametrize("whose", ["firm1", "firm2"])
def test_who_would_take_others_along_waits(world: World, settings: Any, tmp_path: Path, whose: str) -> None:
    changed(world, settings, tmp_path, ('ignored = ["since"]', 'ignored = ["since", "agent"]'))
    legacy(world, "ALTER TABLE customers ADD agent uuid REFERENCES staff ON DELETE CASCADE")
    legacy(
        world, "UPDATE customers SET agent = (SELECT id FROM staff WHERE login = 'firm1-1') WHERE mail = %s",
        f"{whose}-1@customer.example.org",
    )  # fmt: skip
    begun(world)
    one = firm(world, "firm1")
    assert moved(one).error == ""
    iam(world, "UPDATE users SET is_superuser = false, username = email WHERE username = 'firm1-1'")
    both_loops()
    assert legacy(world, "SELECT count(*) FROM customers") == [(500,)] and mails(world, "firm1-1") != []
    assert "1 of its rows differ" in moved(one, "legacy").error
    legacy(world, "ALTER TABLE customers DROP CONSTRAINT customers_agent_fkey")
    hold_still(world)
    assert moved(one, "legacy").error == "" and unlike(world) == set()


@pytest.mark.parametrize("who", ["firm2-1", "firm2-1@customer.example.org"])
@pytest.mark.parametrize(
    "what", ["UPDATE users SET email = 's@example.org' WHERE username = %s", "DELETE FROM users WHERE username = %s"]
)
def test_a_stray_of_either_table_is_shown_and_restored(
    world: World, settings: Any, tmp_path: Path, who: str, what: str
) -> None:
    example(world, settings, tmp_path, guarded=False)
    assert moved(firm(world, "firm1")).error == ""
    iam(world, what, who)
    both_loops()
    [stray] = Stray.objects.all()
    assert {field.name for field in resolve.on_both_sides(stray)} >= {"username", "email"}
    resolve.restore(stray, by="tester", reason="a test")
    both_loops()
    assert unlike(world) == set()


def test_a_rehearsal_writes_to_the_largest_table_of_the_view(world: World, settings: Any, tmp_path: Path) -> None:
    run = example(world, settings, tmp_path)
    [(customers,)] = legacy(world, "SELECT count(*) FROM customers")
    assert moves.catch_up(run)["entries"] == customers == 500
