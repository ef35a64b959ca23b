"""What another stranger tried: two plans, links and keys that are written otherwise, children of rows that move, and what
legacy does with what comes back: foreign keys, cascades, triggers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db.models import Q

from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover.models import Stray
from migration_portal.cutover.move import _Move
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.monitoring.models import Alert
from migration_portal.plan.errors import PlanError
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.start import RunOverlaps
from migration_portal.runs.uncapture import uncapture
from tests import builders
from tests.attack.test_views import begun
from tests.cutover.moves import both_loops as once
from tests.cutover.moves import iam, legacy, moved
from tests.journeys.other_schemas import BY_ORGANIZATION, ONE, TWO, migrated, org, organizations, person, unlike, users
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.world import World


def both_loops() -> None:
    """Follow until continuous verification, too, has nothing left to compare."""
    for _ in range(5):
        once()
        if not FlowStatus.objects.filter(Q(touched__gt=0) | Q(entries__gt=0)).exists():
            return
    assert not FlowStatus.objects.filter(touched__gt=0).exists()


def use(settings: Any, tmp_path: Path, text: str, name: str = "plan.toml") -> None:
    settings.MIGRATION_PLAN = tmp_path / name
    settings.MIGRATION_PLAN.write_text(text)


def add(settings: Any, text: str) -> None:
    settings.MIGRATION_PLAN.write_text(settings.MIGRATION_PLAN.read_text() + text)


def captured(world: World) -> Run:
    """A run with capture that is completed and verified."""
    run = builders.migrated(world, capture=True)
    assert run.state == "completed" and report(run).passed, run.failures
    sync_tenants()
    both_loops()
    return run


def told(run: Run) -> list[Any]:
    """Whatever of it an operator could have been told by."""
    run.refresh_from_db()
    said: list[Any] = [run.error] if run.error else []
    said += Finding.objects.values_list("table_name", "kind", "key")
    said += QuarantinedRow.objects.filter(state="open").values_list("table_name", "reason")
    said += Stray.objects.values_list("table_name", "key", "what")
    said += FlowStatus.objects.exclude(error="").values_list("direction", "error")
    return said + list(Alert.objects.values_list("what", flat=True))


LICENCES = """
[[tables]]
source = "licence_keys"
target = "licenses"
key = ["id"]
tenant = "tenant_id"
ignored = ["buyer"]
[tables.columns]
id = "id"
tenant_id = "org"
license_key = "key"
[tables.reverse]
id = "id"
org = "tenant_id"
key = "license_key"
"""
KEYS = (
    "CREATE TABLE licence_keys (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org uuid NOT NULL REFERENCES orgs,"
    " buyer uuid REFERENCES people ON DELETE CASCADE, key text NOT NULL)"
)


def test_a_second_plan_that_captures_is_refused(world: World, settings: Any, tmp_path: Path, joined: Any) -> None:
    """People by one plan, licences by another: from the second's start on every captured change of people was thrown away."""
    joined()
    legacy(world, KEYS)
    person(world, "ann")
    begun(world)
    use(settings, tmp_path, 'name = "licences"\n' + LICENCES, "other.toml")
    with pytest.raises(RunOverlaps, match="captures changes for another plan, people_and_credentials"):
        builders.migrated(world, capture=True)
    assert builders.migrated(world, dry_run=True).state == "completed"


@pytest.mark.parametrize("kind", ["citext", "numeric"])
def test_a_link_that_may_be_written_otherwise_is_refused(
    world: World, settings: Any, tmp_path: Path, kind: str
) -> None:
    """A foreign key holds between 1 and 1.0, Ann and ANN; as text they are not the same, and a new password of hers removed Ann."""
    if kind == "citext":
        legacy(world, "CREATE EXTENSION citext")
    one, other = {"citext": ("Ann", "ANN"), "numeric": ("1", "1.0")}[kind]
    legacy(world, f"CREATE TABLE people (realm int, login {kind}, mail text, PRIMARY KEY (realm, login))")
    legacy(world, f"CREATE TABLE creds (realm int, login {kind}, hash text NOT NULL, PRIMARY KEY (realm, login),"
                  " FOREIGN KEY (realm, login) REFERENCES people)")  # fmt: skip
    legacy(world, f"INSERT INTO people VALUES (1, '{one}', 'm')")
    legacy(world, f"INSERT INTO creds VALUES (1, '{other}', 'h0')")
    spelled = {"citext": "lower(login::text)", "numeric": "trim_scale(login)"}[kind]
    use(settings, tmp_path, f"""
name = "pairs"
[[tables]]
source = "people"
target = "users"
key = ["realm", "login"]
tenant = "tenant_id"
[tables.reads.creds]
link = {{ realm = "realm", login = "login" }}
[tables.columns]
id = "md5(realm || ':' || {spelled})::uuid"
tenant_id = "'{ONE}'::uuid"
username = "login"
email = "mail"
hashed_password = "(SELECT c.hash FROM creds AS c WHERE c.realm = people.realm AND c.login = people.login)"
""")  # fmt: skip
    organizations(world, ONE)
    with pytest.raises(PlanError, match=f"It is {kind}: login may be written otherwise"):
        builders.migrated(world, capture=True)


MAPPED = f"""
name = "mapped"
[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
[tables.reads.uids]
link = {{ person = "id" }}
[tables.columns]
id = "(SELECT u.uid FROM uids AS u WHERE u.person = people.id)"
tenant_id = "'{ONE}'::uuid"
username = "login || people.id"
hashed_password = "'x'"
"""


def test_an_id_that_is_looked_up_in_a_table_that_is_read_is_refused(
    world: World, settings: Any, tmp_path: Path
) -> None:
    """Legacy counts its people and keeps their UUIDs in a table of its own: of somebody who is deleted nothing says the UUID."""
    legacy(world, "CREATE TABLE people (id int PRIMARY KEY, login text NOT NULL)")
    legacy(world, "CREATE TABLE uids (person int PRIMARY KEY REFERENCES people ON DELETE CASCADE,"
                  " uid uuid NOT NULL UNIQUE DEFAULT gen_random_uuid())")  # fmt: skip
    legacy(world, "INSERT INTO people VALUES (1, 'ann'), (2, 'bob')")
    legacy(world, "INSERT INTO uids (person) VALUES (1), (2)")
    use(settings, tmp_path, MAPPED)
    organizations(world, ONE)
    run = builders.migrated(world, capture=True)
    assert run.state == "failed" and "No part of its key follows from the legacy key alone" in "".join(run.failures)


GRANTS = """
[[tables]]
source = "grants"
target = "user_roles"
key = ["person", "role"]
tenant_through = { users = "user_id" }
[tables.columns]
user_id = "person"
role_id = { lookup = "roles", by = "name", value = "role" }
created_at = "since"
[tables.reverse]
person = "user_id"
role = { lookup = "roles", by = "name", value = "role_id" }
since = "created_at"
"""


def with_grants(world: World, settings: Any, joined: Any) -> None:
    joined()
    add(settings, GRANTS)
    legacy(world, "CREATE TABLE grants (person uuid NOT NULL REFERENCES people ON DELETE CASCADE, role text NOT NULL,"
                  " since timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (person, role))")  # fmt: skip


TO_BOLT = "UPDATE people SET org = (SELECT id FROM orgs WHERE code = 'bolt') WHERE id = %s"
CHILD = {
    "insert": "INSERT INTO grants (person, role) VALUES (%s, 'admin')",
    "update": "UPDATE grants SET since = '2020-01-01Z' WHERE person = %s",
    "delete": "DELETE FROM grants WHERE person = %s",
}


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("kind", CHILD)
def test_a_child_written_before_its_parent_came_to_the_tenant_that_moves_is_brought_along(
    world: World, settings: Any, joined: Any, monkeypatch: pytest.MonkeyPatch, guarded: bool, kind: str
) -> None:
    """After the comparison and before the hold, committed in legacy: a grant of Ann's is written (captured as acme's), then
    Ann goes from acme to bolt. Bolt moves: what is captured as acme's is not drained, and later taken for drained."""
    with_grants(world, settings, joined)
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    if kind != "insert":
        legacy(world, "INSERT INTO grants (person, role) VALUES (%s, 'user')", ann)
    begun(world, guarded=guarded)
    real = _Move.prepare

    def prepare(self: Any) -> bool:
        found = real(self)
        legacy(world, CHILD[kind], ann)
        legacy(world, TO_BOLT, ann)
        return found

    monkeypatch.setattr(_Move, "prepare", prepare)
    done = moved(org(world, "bolt"))
    monkeypatch.undo()
    assert done.state == "done" or done.error
    both_loops()
    there = legacy(world, "SELECT role, since FROM grants WHERE person = %s", ann)
    here = iam(world, "SELECT name, r.created_at FROM user_roles r JOIN roles ON roles.id = role_id"
                      " WHERE user_id = %s", ann)  # fmt: skip
    assert done.error or there == here or Stray.objects.exists()


def test_a_child_in_quarantine_keeps_the_tenant_that_its_parent_has_come_to(
    world: World, settings: Any, joined: Any
) -> None:
    """A grant of Ann's waits in quarantine; Ann goes from acme to bolt. Bolt is moved all the same, and acme is kept for it."""
    with_grants(world, settings, joined)
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(world, "INSERT INTO grants (person, role) VALUES (%s, 'unknown')", ann)
    begun(world)
    legacy(world, TO_BOLT, ann)
    both_loops()
    assert QuarantinedRow.objects.get(state="open").reason == "role_id_not_found"
    assert "In quarantine: 1" in moved(org(world, "bolt")).error
    assert moved(org(world, "acme")).error == ""


@pytest.mark.parametrize("to", ["legacy", "iam"])
def test_a_stray_write_that_the_owner_overwrites_is_listed_though_its_tenant_moves_first(
    world: World, plan: Any, to: str
) -> None:
    """The guard is off (as by default). Somebody writes on the wrong side, the owner writes the same row, and the tenant moves
    there before the loop has looked: the stray write is overwritten by the move, and listed nowhere."""
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    wrong = "UPDATE {} SET full_name = 'astray' WHERE username = 'bob'"
    right = "UPDATE {} SET email = 'own' WHERE username = 'bob'"
    if to == "legacy":
        assert moved(TWO).error == ""
        both_loops()
        legacy(world, wrong.format("auth_user"))
        iam(world, right.format("users"))
    else:
        assert moved(ONE).error == ""  # so that the IAM is captured
        both_loops()
        iam(world, wrong.format("users"))
        legacy(world, right.format("auth_user"))
    done = moved(TWO, to)
    both_loops()
    there = legacy(world, "SELECT full_name FROM auth_user WHERE username = 'bob'")
    here = iam(world, "SELECT full_name FROM users WHERE username = 'bob'")
    assert done.error or there == here == [("astray",)] or Stray.objects.exists()


@pytest.mark.parametrize("rule", ["ON UPDATE CASCADE", ""])
def test_legacys_foreign_keys_hold_for_what_comes_back(world: World, settings: Any, joined: Any, rule: str) -> None:
    """Legacy has a trigger of its own on people, so our writes pass over its triggers: over those of its foreign keys, too."""
    joined(('target = "users"\n', 'target = "users"\nignored = ["changed"]\n'))
    legacy(
        world, f"CREATE TABLE api_keys (id serial PRIMARY KEY, login text NOT NULL REFERENCES people (login) {rule})"
    )
    legacy(world, "ALTER TABLE people ADD changed timestamptz")
    legacy(world, "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS"
                  " 'BEGIN NEW.changed := now(); RETURN NEW; END'")  # fmt: skip
    legacy(world, "CREATE TRIGGER stamp BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION stamp()")
    person(world, "ann")
    legacy(world, "INSERT INTO api_keys (login) VALUES ('ann')")
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "UPDATE users SET username = 'anna' WHERE username = 'ann'")
    both_loops()
    waits = FlowStatus.objects.filter(retrying__gt=0).exists() or told(run)
    back = moved(acme, "legacy")
    dangling = legacy(world, "SELECT login FROM api_keys WHERE login NOT IN (SELECT login FROM people)")
    assert dangling == [] or back.error or waits


@pytest.mark.parametrize("whose", ["acme", "bolt"])
def test_what_legacy_takes_along_with_a_row_that_the_iam_deletes(
    world: World, settings: Any, joined: Any, whose: str
) -> None:
    """A user is deleted in the IAM, where nothing hangs on her; in legacy a licence does (ON DELETE CASCADE), of the same tenant
    or of one at home in legacy. Legacy loses it, nobody captures that, it lives on in the IAM, and nothing is said."""
    joined()
    add(settings, LICENCES)
    legacy(world, KEYS)
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(
        world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, %s FROM orgs WHERE code = %s", ann, whose
    )
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    if whose == "acme":
        iam(world, "UPDATE licenses SET license_key = 'renewed'")
        both_loops()
    iam(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    there, here = legacy(world, "SELECT id FROM licence_keys"), iam(world, "SELECT id FROM licenses")
    if whose == "acme":
        assert there == here or told(run) or moved(acme, "legacy").error == ""
    assert there == here or told(run)


def test_a_row_kept_back_that_is_made_in_the_iam_keeps_nobody_there(world: World, settings: Any, joined: Any) -> None:
    """As retrying says: “Create the row in the IAM, then discard this one.” The row comes back, both sides are the same, and the
    tenant can never return: legacy's row counts as kept back."""
    joined(("# A row of credentials", "[tables.reject]\nodd = \"mail = 'odd'\"\n\n# A row of credentials"))
    person(world, "ann")
    bob = person(world, "bob")
    legacy(world, "UPDATE people SET mail = 'odd' WHERE id = %s", bob)
    run = begun(world)
    builders.decided()
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "INSERT INTO users (id, tenant_id, username, email, hashed_password, is_active)"
               " VALUES (%s, %s, 'bob', 'fixed', 'h0', true)", bob, acme)  # fmt: skip
    both_loops()
    assert unlike(world) == set() and told(run) == []
    assert moved(acme, "legacy").error == ""


FEATURES = """
[[tables]]
source = "features"
target = "tenant_feature_enablement"
key = ["org", "feature"]
tenant = "tenant_id"
[tables.columns]
tenant_id = "org"
feature_key = "feature"
enabled = "on_"
[tables.reverse]
org = "tenant_id"
feature = "feature_key"
on_ = "enabled"
"""


@pytest.mark.parametrize("has", ["acme", "bolt"])
def test_a_text_in_a_key_comes_back_as_it_stands(world: World, settings: Any, joined: Any, has: str) -> None:
    """Some row of legacy's (of any tenant) has 'SSO' in its key, none has 'sso'. The IAM's 'sso' comes back as 'SSO': over the
    tenant's own 'SSO', if it has one; and where the IAM deletes 'sso', legacy's 'SSO' goes."""
    joined()
    add(settings, FEATURES)
    legacy(world, "CREATE TABLE features (org uuid NOT NULL REFERENCES orgs, feature text NOT NULL, on_ boolean NOT NULL,"
                  " PRIMARY KEY (org, feature))")  # fmt: skip
    legacy(world, "INSERT INTO features SELECT id, 'SSO', true FROM orgs WHERE code = %s", has)
    person(world, "ann")
    begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(
        world, "INSERT INTO tenant_feature_enablement (tenant_id, feature_key, enabled) VALUES (%s, 'sso', false)", acme
    )
    both_loops()
    there = legacy(world, "SELECT feature, on_ FROM features WHERE org = %s ORDER BY 1", acme)
    here = iam(
        world, "SELECT feature_key, enabled FROM tenant_feature_enablement WHERE tenant_id = %s ORDER BY 1", acme
    )
    iam(world, "DELETE FROM tenant_feature_enablement WHERE feature_key = 'sso'")
    both_loops()
    left = (
        legacy(world, "SELECT feature FROM features"),
        iam(world, "SELECT feature_key FROM tenant_feature_enablement"),
    )
    assert (there, left[0]) == (here, left[1])


@pytest.mark.parametrize("key", ['["realm", "login"]', '["code"]'])
def test_a_key_of_columns_that_may_be_null_is_refused(world: World, settings: Any, tmp_path: Path, key: str) -> None:
    """Changes of rows with a NULL in the key are never captured."""
    legacy(world, "CREATE TABLE people (realm int NOT NULL, login text, code text UNIQUE, mail text NOT NULL,"
                  " UNIQUE (realm, login))")  # fmt: skip
    legacy(world, "INSERT INTO people VALUES (1, 'ann', 'a', 'ann@x'), (1, NULL, NULL, 'bob@x')")
    of = "coalesce(code, '-')" if "code" in key else "realm || ':' || coalesce(login, '-')"
    use(settings, tmp_path, f"""
name = "nulls"
[[tables]]
source = "people"
target = "users"
key = {key}
tenant = "tenant_id"
ignored = ["realm", "login", "code"]
[tables.columns]
id = "md5({of})::uuid"
tenant_id = "'{ONE}'::uuid"
username = "mail"
email = "mail"
hashed_password = "'x'"
""")  # fmt: skip
    organizations(world, ONE)
    with pytest.raises(PlanError, match="its rows cannot be told apart"):
        builders.migrated(world)


def test_a_rule_that_looks_into_a_table_that_nobody_watches_is_refused(
    world: World, settings: Any, joined: Any
) -> None:
    """What the rule says by then would never arrive."""
    rule = "EXISTS (SELECT FROM barred AS b WHERE b.person = people.id)"
    joined(("# A row of credentials", f'[tables.reject]\nbarred = "{rule}"\n\n# A row of credentials'))
    legacy(world, "CREATE TABLE barred (person uuid PRIMARY KEY)")
    person(world, "ann")
    bob = person(world, "bob")
    legacy(world, "INSERT INTO barred VALUES (%s)", bob)
    run = builders.migrated(world, capture=True)
    assert run.state == "failed" and "read barred, whose changes would not be captured" in "".join(run.failures)


def test_a_run_of_a_plan_under_another_name_knows_what_the_first_had_brought(
    world: World, settings: Any, joined: Any
) -> None:
    """Who was deleted in legacy between two runs is active in the IAM; the same plan under another name says “passed”."""
    joined()
    person(world, "ann")
    person(world, "bob")
    uncapture(captured(world), by="tester", reason="a test")
    legacy(world, "DELETE FROM people WHERE login = 'ann'")
    settings.MIGRATION_PLAN.write_text(settings.MIGRATION_PLAN.read_text().replace('"people_and_credentials"', '"v2"'))
    run = builders.migrated(world, capture=True)
    assert unlike(world) == set() or not report(run).passed


HEXED = """
name = "hexed"
[[tables]]
source = "orgs"
target = "tenants"
key = ["id"]
tenant = "id"
[tables.columns]
id = "id::uuid"
name = "title"
slug = "title"
[tables.reverse]
id = "replace(id::text, '-', '')"
title = "name"
[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = "id"
tenant_id = "coalesce(org, '5f0c0000000040008000000000000001')::uuid"
username = "login"
hashed_password = "'x'"
[tables.reverse]
id = "id"
org = "replace(tenant_id::text, '-', '')"
login = "username"
"""


def test_a_tenant_that_two_tables_write_otherwise_is_refused(world: World, settings: Any, tmp_path: Path) -> None:
    """Ids of 32 hexadecimal digits: one table's tenant is a column, cast; the other's an expression over one. The guard was told
    the one and asked for the other, and let writes through."""
    legacy(world, "CREATE TABLE orgs (id text PRIMARY KEY, title text NOT NULL)")
    legacy(world, "CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org text REFERENCES orgs,"
                  " login text NOT NULL)")  # fmt: skip
    legacy(
        world, "INSERT INTO orgs SELECT replace(id, '-', ''), right(id, 1) FROM unnest(%s::text[]) AS id", [ONE, TWO]
    )
    use(settings, tmp_path, HEXED)
    legacy(world, "INSERT INTO people (org, login) VALUES (%s, 'ann')", ONE.replace("-", ""))
    with pytest.raises(PlanError, match="1 tenants are written otherwise there than in orgs"):
        builders.migrated(world, capture=True)


def test_what_legacy_does_not_let_go_of_is_said(world: World, settings: Any, joined: Any) -> None:
    """A trigger of legacy's makes of every DELETE a mark: what the IAM deletes is taken for gone, and its tenant cannot return."""
    joined(('target = "users"\n', 'target = "users"\nignored = ["gone"]\n'))
    legacy(world, "ALTER TABLE people ADD gone boolean NOT NULL DEFAULT false")
    legacy(world, "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
                  " 'BEGIN UPDATE people SET gone = true WHERE id = OLD.id; RETURN NULL; END'")  # fmt: skip
    legacy(world, "CREATE TRIGGER keep BEFORE DELETE ON people FOR EACH ROW EXECUTE FUNCTION keep()")
    person(world, "ann")
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    waits = FlowStatus.objects.filter(retrying__gt=0).exists() or told(run)
    assert waits or moved(acme, "legacy").error == ""


def test_a_table_of_legacys_may_be_called_keys(world: World, settings: Any, joined: Any) -> None:
    """Pre-flight, copy and verification are green; the first DELETE in that table ends catch-up of all tables, for good."""
    joined()
    add(settings, LICENCES.replace("licence_keys", "keys"))
    legacy(world, KEYS.replace("licence_keys", "keys"))
    ann = person(world, "ann")
    legacy(world, "INSERT INTO keys (org, key, buyer) SELECT id, code, %s FROM orgs", ann)
    begun(world)
    legacy(world, "DELETE FROM keys WHERE key = 'acme'")
    legacy(world, "UPDATE people SET mail = 'new'")
    both_loops()
    assert iam(world, "SELECT license_key FROM licenses") == [("bolt",)]
    assert iam(world, "SELECT email FROM users") == [("new",)]


def test_a_key_of_legacys_may_be_called_n(world: World, settings: Any, tmp_path: Path) -> None:
    """The run is "running" for ever, and says that the plan is to be corrected."""
    legacy(world, "CREATE TABLE people (n int PRIMARY KEY, login text NOT NULL)")
    legacy(world, "INSERT INTO people VALUES (1, 'ann')")
    use(
        settings,
        tmp_path,
        f"""
name = "n"
[[tables]]
source = "people"
target = "users"
key = ["n"]
tenant = "tenant_id"
[tables.columns]
id = {{ number = "n" }}
tenant_id = "'{ONE}'::uuid"
username = "login"
hashed_password = "'x'"
""",
    )
    organizations(world, ONE)
    captured(world)
