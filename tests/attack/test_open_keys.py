"""What a stranger tried with changes of one row that a view makes many of: what is not certain is refused beforehand."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migration_portal.cutover import guard
from migration_portal.cutover.models import Stray
from migration_portal.cutover.resolve import accept
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine.verify import continuous
from migration_portal.inventory.preflight import preflight
from migration_portal.plan.errors import PlanError
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import retry_rows
from migration_portal.runs.verify import verify
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.engine.changes import caught_up
from tests.journeys.test_one_into_many import CAPTURED
from tests.world import World

ADMIN = "00000000-0000-4000-8000-000000000001"
BASE = """
CREATE TABLE teams (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL);
CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), team uuid NOT NULL, login text NOT NULL, roles text);
INSERT INTO teams (title) VALUES ('acme');
INSERT INTO people (team, login, roles) SELECT id, l, r FROM teams, (VALUES ('ann', 'admin,user'), ('bob', 'user')) AS v (l, r);
"""
ROLES = "CREATE VIEW grants AS SELECT id AS person, role FROM people, unnest(string_to_array(roles, ',', '-')) AS role;"
NO_ADMIN = f"ALTER TABLE user_roles ADD CHECK (role_id <> '{ADMIN}' OR assigned_by IS NOT NULL) NOT VALID"

Begin = Callable[..., Run]


@pytest.fixture
def begin(world: World, settings: Any, tmp_path: Path) -> Begin:
    def go(schema: str = BASE + ROLES, plan: str = CAPTURED) -> Run:
        legacy(world, schema)
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(plan)
        return builders.migrated(world, capture=True)

    return go


def of(world: World, who: str) -> set[str]:
    named = "SELECT r.name FROM user_roles JOIN users u ON u.id = user_id JOIN roles r ON r.id = role_id WHERE username = %s"
    return {name for (name,) in iam(world, named, who)}


def stuck(world: World) -> None:
    """Whatever collides has been tried as often as it is."""
    for _ in range(8):
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
        both_loops()


@pytest.fixture(autouse=True)
def in_time() -> Any:
    """What never ends takes all memory."""

    def stop(*_: Any) -> None:
        raise AssertionError("It does not end.")

    was = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, was)


def test_one_that_cannot_be_stored_keeps_none_of_the_others_and_is_quarantined_by_itself(
    world: World, begin: Begin
) -> None:
    run = begin()
    iam(world, NO_ADMIN)
    legacy(world, "UPDATE people SET roles = 'admin' WHERE login = 'bob'")
    stuck(world)
    assert of(world, "bob") == set()
    [row] = QuarantinedRow.objects.all()
    assert (row.source_key[1], row.reason, bool(row.tenant)) == ("admin", "cannot_be_stored", True)
    verify(run, by="tester")
    builders.finish(run)
    assert report(run).passed and report(run).accounted
    legacy(world, "UPDATE people SET roles = 'user' WHERE login = 'bob'")
    both_loops()
    assert of(world, "bob") == {"user"} and not QuarantinedRow.objects.exists()


def test_it_is_retried_by_itself(world: World, begin: Begin) -> None:
    begin()
    iam(world, NO_ADMIN)
    legacy(world, "UPDATE people SET roles = 'admin' WHERE login = 'bob'")
    stuck(world)
    iam(world, "ALTER TABLE user_roles DROP CONSTRAINT user_roles_check")
    assert retry_rows(list(QuarantinedRow.objects.filter(state="open")), by="tester") == (1, 0)
    assert of(world, "bob") == {"admin"}


def test_a_row_without_a_part_of_its_key_is_in_nobodys_way_and_told_by_pre_flight(world: World, begin: Begin) -> None:
    begin()
    legacy(world, "UPDATE people SET roles = 'admin,-' WHERE login = 'bob'")  # the view gives (bob, NULL)
    both_loops()
    assert of(world, "bob") == {"admin"}
    assert legacy(world, "SELECT count(*) FROM portal_capture.queue") == [(0,)]
    assert any("or are NULL" in each["what"] for each in preflight()["findings"])


def test_accepting_that_one_is_gone_is_accepted_where_another_is_rejected(world: World, begin: Begin) -> None:
    begin()
    sync_tenants()
    both_loops()
    guard.switch(on=False, by="tester")
    [(team,)] = legacy(world, "SELECT id::text FROM teams")
    assert moved(team).error == ""
    legacy(world, "UPDATE people SET roles = 'user,gast' WHERE login = 'ann'")
    both_loops()
    gone = Stray.objects.get(what="deleted", table_name="grants")
    accept(gone, by="tester", reason="a test")
    gone.refresh_from_db()
    assert gone.state == "accepted" and of(world, "ann") == {"user"}


def test_a_percent_sign_in_a_key_ends_nothing(world: World, begin: Begin) -> None:
    iam(world, "INSERT INTO roles (name) VALUES (%s)", "50% partner")
    run = begin()
    legacy(world, "UPDATE people SET roles = %s WHERE login = 'bob'", "user,50% partner")
    caught_up(run)
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'bob')")
    with open_transfer(run, "test") as transfer:
        assert (
            continuous.recheck(transfer, run.verification, {})[1]
            + continuous.recheck(transfer, run.verification, {})[1]
            == 2
        )
    assert {finding.kind for finding in Finding.objects.all()} == {"missing"}


def test_what_the_iam_gave_stays_when_all_rows_are_looked_at(world: World, begin: Begin) -> None:
    begin()
    iam(
        world, "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
        " WHERE username = 'bob' AND r.name = 'admin'",
    )  # fmt: skip
    legacy(world, "UPDATE people SET roles = 'user' WHERE login = 'ann'")
    legacy(world, "DELETE FROM portal_capture.queue")
    legacy(world, "SELECT portal_capture.whole('grants')")
    both_loops()
    assert of(world, "bob") == {"admin", "user"} and of(world, "ann") == {"user"}


JOBS = """
CREATE TABLE jobs (name text PRIMARY KEY, note text);
INSERT INTO jobs VALUES ('admin'), ('user');
CREATE VIEW grants AS SELECT p.id AS person, j.name AS role FROM people p JOIN jobs j
ON j.name = ANY(string_to_array(p.roles, ','));
"""
READS_JOBS = '[tables.reads.jobs]\nlink = { name = "role" }\ntenant = "(SELECT id FROM teams)"\nignored = ["note"]\n'
SYSTEMS = """
CREATE TABLE accounts (person uuid, system text, roles text, PRIMARY KEY (person, system));
INSERT INTO accounts SELECT id, s, 'admin' FROM people, (VALUES ('crm'), ('erp')) AS s (s);
CREATE VIEW grants AS SELECT person, system, role FROM accounts, unnest(string_to_array(roles, ',')) AS role;
"""
OF_SYSTEMS = (
    CAPTURED.replace('["person", "role"]', '["person", "system", "role"]')
    .replace('value = "role"', "value = \"CASE system WHEN '' THEN '' ELSE role END\"")
    .replace("reads.people]\nlink = { id", "reads.accounts]\nlink = { system = \"system\", person")
    .replace('tenant = "team"\n', 'tenant = "(SELECT team FROM people WHERE people.id = accounts.person)"\n')
)  # fmt: skip
PLAIN = """
CREATE TABLE grants (person uuid, role text, PRIMARY KEY (person, role));
INSERT INTO grants SELECT id, 'user' FROM people;
"""


@pytest.mark.parametrize(
    ("schema", "plan", "why"),
    [
        (JOBS, CAPTURED + READS_JOBS, "whose the IAM's rows are does not follow"),
        (SYSTEMS, OF_SYSTEMS, "the IAM's key follows from person alone"),
        (PLAIN, CAPTURED.replace("view = true\n", ""), "grants is no view"),
        (ROLES.replace("id AS", "id::text AS"), CAPTURED.replace('"person"\nrole', '"person::uuid"\nrole'),
         "the key person is text"),
    ],
    ids=["of several tenants", "more than the IAM's key says", "a table", "another type"],
)  # fmt: skip
def test_what_would_lead_to_others_rows_is_refused(begin: Begin, schema: str, plan: str, why: str) -> None:
    try:
        run = begin(BASE + schema, plan)
    except PlanError as error:
        assert why in str(error)
    else:
        assert run.state == "failed" and why in run.failures[0]
