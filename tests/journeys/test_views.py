"""A source that is a view: people of two tables in one of the IAM's, the whole way and back into the table that each is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from migration_portal.cutover.models import Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.preflight import preflight
from migration_portal.plan.errors import PlanError
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from migration_portal.sample import examples
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.other_schemas import EXAMPLES
from tests.journeys.test_examples import begun
from tests.world import World

NAME = "07_staff_and_customers"
REFUSED = "at home on the other system"


def unlike(world: World) -> set[Any]:
    """Firms' people who are not the same on both sides, by the tables that they are of, in SQL of the test's own."""
    there = legacy(
        world, "SELECT f.code, s.id, login, mail, password, active, true FROM staff s JOIN firms f ON f.id = firm"
        " UNION ALL SELECT f.code, c.id, mail, mail, password, NOT blocked, false FROM customers c JOIN firms f ON f.id = firm",
    )  # fmt: skip
    here = iam(
        world, "SELECT slug, u.id, username, email, hashed_password, u.is_active, is_superuser"
        " FROM users u JOIN tenants t ON t.id = tenant_id",
    )  # fmt: skip
    assert len(there) == len(set(there))
    return set(there) ^ set(here)


def firm(world: World, code: str) -> str:
    return str(legacy(world, "SELECT id FROM firms WHERE code = %s", code)[0][0])


def test_people_of_two_tables_go_there_and_back(world: World, settings: Any) -> None:
    run = begun(world, settings, NAME)
    assert unlike(world) == set()
    one, two = firm(world, "firm1"), firm(world, "firm2")
    legacy(world, "UPDATE staff SET mail = 'new@example.org' WHERE login = 'firm1-1'")
    legacy(world, "UPDATE customers SET blocked = true WHERE mail = 'firm1-1@customer.example.org'")
    legacy(world, "DELETE FROM staff WHERE login = 'firm1-2'")
    legacy(world, "DELETE FROM customers WHERE mail = 'firm1-2@customer.example.org'")
    legacy(world, "INSERT INTO staff (firm, login, password) VALUES (%s, 'late', 'x')", one)
    legacy(world, "INSERT INTO customers (firm, mail, password) VALUES (%s, 'late@example.org', 'x')", two)
    # One of the staff becomes a customer, under the same id.
    [(id,)] = legacy(world, "DELETE FROM staff WHERE login = 'firm1-3' RETURNING id")
    legacy(world, "INSERT INTO customers (id, firm, mail, password) VALUES (%s, %s, 'left@example.org', 'x')", id, one)
    both_loops()
    assert unlike(world) == set()

    assert moved(one).error == ""
    for write in ("UPDATE staff SET mail = 'lost'", "UPDATE customers SET blocked = true", "DELETE FROM staff",
                  "DELETE FROM customers"):  # fmt: skip
        with pytest.raises(psycopg.Error, match=REFUSED):
            legacy(world, f"{write} WHERE firm = %s", one)
    legacy(world, "UPDATE customers SET blocked = true WHERE firm = %s", two)
    iam(world, "UPDATE users SET email = 'there@example.org' WHERE username = 'firm1-4'")
    iam(world, "UPDATE users SET is_active = false WHERE username = 'firm1-5@customer.example.org'")
    iam(world, "DELETE FROM users WHERE username IN ('firm1-6', 'firm1-6@customer.example.org')")
    iam(
        world, "INSERT INTO users (tenant_id, username, email, hashed_password, is_superuser, is_active) VALUES"
        " (%s, 'zoe', 'zoe@example.org', 'x', true, true), (%s, 'cem@example.org', 'cem@example.org', 'x', false, true)",
        one, one,
    )  # fmt: skip
    # And one of the customers becomes staff.
    iam(world, "UPDATE users SET is_superuser = true WHERE username = 'firm1-7@customer.example.org'")
    both_loops()
    assert unlike(world) == set()
    assert legacy(world, "SELECT count(*) FROM staff WHERE login IN ('zoe', 'firm1-7@customer.example.org')") == [(2,)]
    assert legacy(world, "SELECT desk FROM staff WHERE login = 'firm1-4'") == [("desk 4",)]

    assert moved(one, "legacy").error == ""
    assert unlike(world) == set() and not Stray.objects.exists()
    legacy(world, "UPDATE staff SET mail = 'again@example.org' WHERE login = 'zoe'")
    both_loops()
    assert unlike(world) == set()
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == State.UNDONE


def test_an_emptied_table_of_a_view_empties_its_part_alone(world: World, settings: Any) -> None:
    begun(world, settings, NAME)
    legacy(world, "TRUNCATE customers")
    both_loops()
    assert unlike(world) == set() and iam(world, "SELECT count(*) FROM users") == [(100,)]


def test_it_is_accounted_for(world: World, settings: Any) -> None:
    run = begun(world, settings, NAME)
    found = report(run)
    assert found.accounted and found.tables["users"].source == found.tables["users"].copied == 600


def test_an_id_that_both_tables_have_stops_nobody_else_and_is_settled_when_one_goes(
    world: World, settings: Any
) -> None:
    begun(world, settings, NAME)
    one = firm(world, "firm1")
    [(id,)] = legacy(world, "SELECT id FROM staff WHERE login = 'firm1-1'")
    legacy(world, "INSERT INTO customers (id, firm, mail, password) VALUES (%s, %s, 'twice@example.org', 'x')", id, one)
    legacy(world, "UPDATE staff SET mail = 'meanwhile@example.org' WHERE login = 'firm1-2'")
    both_loops()
    assert iam(world, "SELECT count(*) FROM users WHERE email = 'meanwhile@example.org'") == [(1,)]
    legacy(world, "DELETE FROM staff WHERE id = %s", id)
    both_loops()
    assert unlike(world) == set()


def test_a_row_that_is_of_no_table_keeps_its_tenant_in_the_iam_and_nobody_else(
    world: World, settings: Any, tmp_path: Path
) -> None:
    changed(world, settings, tmp_path, ("NOT is_superuser", "NOT is_superuser AND email IS NOT NULL"))
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    one, two = firm(world, "firm1"), firm(world, "firm2")
    assert moved(one).error == moved(two).error == ""
    iam(world, "UPDATE users SET email = NULL WHERE username = 'firm1-1@customer.example.org'")
    iam(world, "UPDATE users SET is_active = false WHERE tenant_id IN (%s, %s)", one, two)
    both_loops()
    assert legacy(world, "SELECT blocked, count(*) FROM customers WHERE firm = %s GROUP BY 1 ORDER BY 1", one) == [
        (False, 1), (True, 99),
    ]  # fmt: skip
    assert moved(two, "legacy").error == ""
    assert "1 of its rows differ" in moved(one, "legacy").error
    [(why,)] = iam(world, "SELECT DISTINCT error FROM portal_capture.queue")
    assert why == "The plan's 'where' is true of it for none of staff, customers."
    iam(world, "UPDATE users SET email = username WHERE email IS NULL AND tenant_id = %s", one)
    both_loops()
    assert moved(one, "legacy").error == "" and unlike(world) == set()


def changed(world: World, settings: Any, tmp_path: Path, *replaced: tuple[str, str]) -> None:
    """The example's rows in legacy, and its plan with some of its text replaced."""
    with world.legacy() as connection:
        examples.fill_legacy(connection, EXAMPLES / NAME)
    text = (EXAMPLES / NAME / "plan.toml").read_text()
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text)


REFUSALS = {
    "a view that is not called one": ("view = true\n", "", "everybody", "does not say so"),
    "a table that is called a view": (
        'source = "firms"', 'source = "firms"\nview = true', "table 1", "Nothing is written into a view",
    ),
    "a table that is called a view and has no way back": (
        '"firms"\ntarget = "tenants"\nkey = ["id"]\ntenant = "id"\n', '"firms"\nview = true\ntarget = "tenants"\nkey = ["id"]\n',
        "firms", "it is a table",
    ),
    "whose a row is that is gone": (
        'tenant = "firm"\nwhere = "is_superuser"', 'where = "is_superuser"', "staff", "could not be said",
    ),
    "whose a row is by another word": (
        'tenant = "firm"\nwhere = "NOT', 'tenant = "md5(firm::text)"\nwhere = "NOT', "customers", "500 of its rows 'tenant' does",
    ),
    "whose a row is by no column": (
        'tenant = "firm"\nwhere = "NOT', 'tenant = "company"\nwhere = "NOT', "customers", "Whose its rows are cannot be computed",
    ),
    "a view of a view": ("[tables.reads.staff]", "[tables.reads.everybody]", "everybody", "nothing can be watched there"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_plan_that_cannot_be_carried_out_is_refused(world: World, settings: Any, tmp_path: Path, kind: str) -> None:
    old, new, subject, why = REFUSALS[kind]
    replaced = [(old, new)]
    if "view of a view" in kind:
        replaced += [("[tables.reads.staff.reverse]", "[tables.reads.everybody.reverse]")]
    if "no way back" in kind:
        replaced += [('[tables.reverse]\nid = "id"\ncode = "slug"\ntitle = "name"\n', "")]
    changed(world, settings, tmp_path, *replaced)
    with pytest.raises(PlanError) as refused:
        start(by="tester", capture=True)
    assert subject in refused.value.subject and why in refused.value.what, refused.value
    assert refused.value.todo


def test_a_view_that_has_a_key_twice_is_refused(world: World, settings: Any, tmp_path: Path) -> None:
    changed(world, settings, tmp_path)
    legacy(world, "INSERT INTO customers (id, firm, mail, password) SELECT id, firm, login, '' FROM staff LIMIT 2")
    with pytest.raises(PlanError, match="2 keys .id. stand there more than once"):
        start(by="tester")


def test_what_a_view_is_made_of_must_be_watched(world: World, settings: Any, tmp_path: Path) -> None:
    changed(world, settings, tmp_path)
    legacy(world, "CREATE TABLE guests AS SELECT * FROM customers")
    [(made,)] = legacy(world, "SELECT pg_get_viewdef('everybody')")
    guests = "UNION ALL SELECT id, firm, mail, mail, password, true, false FROM guests WHERE id IS NULL"
    legacy(world, f"CREATE OR REPLACE VIEW everybody AS {made.rstrip(';')} {guests}")
    found = [each["what"] for each in preflight()["findings"] if each["subject"] == "capture: everybody"]
    assert found == ["It is made of guests, whose changes would not be captured."]
    assert builders.migrated(world, capture=True).state == State.FAILED


def test_a_row_that_would_come_back_into_another_table_keeps_everybody_in_legacy(
    world: World, settings: Any, tmp_path: Path
) -> None:
    changed(world, settings, tmp_path, ('is_superuser = "works_here"', 'is_superuser = "works_here AND active"'))
    legacy(world, "UPDATE staff SET active = false WHERE login = 'firm1-1'")
    why = "1 of its rows would not come back into it"
    assert [each["subject"] for each in preflight()["findings"] if why in each["what"]] == ["staff"]
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert why in moved(firm(world, "firm2")).error
