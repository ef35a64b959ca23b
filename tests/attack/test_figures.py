"""What a stranger found wrong with other schemas in notices, first log-ins, checkpoints, reports and inventories."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from flags import homes
from flags.models import TenantHome
from iam import password_links, sign_in
from iam.models import User
from migration_portal.checkpoints import take as taking
from migration_portal.checkpoints.criteria import criteria
from migration_portal.cutover import finalize, reads_first
from migration_portal.cutover import scope as scopes
from migration_portal.cutover.models import Stray
from migration_portal.decommission.remaining import remaining
from migration_portal.features import health
from migration_portal.inventory import requests as asking
from migration_portal.inventory.compare import compare
from migration_portal.inventory.take import take as inventory
from migration_portal.notices import password_mail, send, texts
from migration_portal.notices import plan as planning
from migration_portal.notices.models import Completed, Recipient
from migration_portal.rollback import execute, judge
from migration_portal.rollback.measure import measure
from migration_portal.rollback.plans import Kind
from migration_portal.runs import uncapture
from migration_portal.runs.cancel import cancel
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from migration_portal.sample import examples
from tests import builders
from tests.attack.further import result, teams, waved
from tests.attack.test_later_phases import BY_TEXT, team
from tests.attack.test_later_phases import teams as odd_teams
from tests.console.browsing import browser
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.iam.test_at_login import Legacy
from tests.journeys.other_schemas import (
    EXAMPLES,
    ONE,
    migrated,
    org,
    organizations,
    person,
    users,
)
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.journeys.other_schemas import unlike as unlike_people
from tests.journeys.test_examples import begun
from tests.rollback.going import gone_on
from tests.world import World

COMPLETION = {"kind": "completion", "subject": "$tenant has moved", "text": "Dear $name, it is done.", "html": ""}


def finalized(world: World, settings: Any, tmp_path: Path) -> set[str]:
    """Two tenants of one name, each finalized and told of on its own. Returns their ids."""
    found = teams(world, settings, tmp_path, "Sales", "Sales")
    texts.save("completion", "en", by="otto", **COMPLETION)
    texts.save("moving", "en", by="otto", **(COMPLETION | {"kind": "announcement"}))
    for tenant in found:
        assert moved(tenant).error == ""
        both_loops()
        finalize.finalize_tenant(tenant, by="tester", reason="done")
        planning.tick()
    return set(found)


def test_two_tenants_of_one_name_are_both_told_that_they_have_moved(
    world: World, settings: Any, tmp_path: Path
) -> None:
    both = finalized(world, settings, tmp_path)
    assert set(Completed.objects.values_list("tenant", flat=True)) == both


def test_and_other_notices_go_out_meanwhile(world: World, settings: Any, tmp_path: Path) -> None:
    finalized(world, settings, tmp_path)
    urgent = planning.plan("Urgent", "moving", {}, by="otto")
    planning.tick()
    urgent.refresh_from_db()
    assert urgent.state == "sent"


def test_no_link_is_mailed_to_people_of_a_tenant_that_only_reads_first(
    world: World, joined: Any, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://portal.example.org"
    joined()

    person(world, "ann", hash="proprietary:1")
    legacy(world, "UPDATE people SET mail = 'ann@example.org'")
    migrated(world)
    texts.save("reset", "en", by="otto", kind="maintenance", subject="s", text="See $password_link", html="")
    settings.BACKUPS_REQUIRED = False
    reads_first.begin(TenantHome.objects.all(), by="t", reason="r")
    notice = planning.plan("Reset", "reset", {"passwords": "legacy"}, by="otto")
    send.expand(notice)
    [to] = Recipient.objects.filter(notice=notice)
    with pytest.raises(password_mail.Unwanted, match="still at home in legacy"):
        password_mail.link_of(to)


def test_who_has_no_password_has_no_bad_one(world: World, joined: Any) -> None:
    joined()
    legacy(world, "INSERT INTO people (login, org, mail) SELECT 'sso', id, 's@example.org' FROM orgs LIMIT 1")
    migrated(world)
    found = result(taking.take(by="tester"), "Passwords are hashed well")
    assert found["passed"] is True, found


def test_after_everything_was_rolled_back_no_row_is_missed(world: World, plan: Any, settings: Any) -> None:
    settings.ROLLBACK_ASKS = []
    plan()
    organizations(world)
    users(world, "ann", "bob")
    migrated(world)
    assert moved(ONE).error == ""
    made = gone_on(execute.start(Kind.DATABASE, by="ada", reason="errors"))
    assert made.outcome == "done", (made.step, made.step and made.step.detail)
    found = result(taking.take(by="tester"), "Every row is accounted for")
    assert found["passed"] is not False, found
    one = next(each for each in criteria() if each.name == "Data integrity")
    assert one.met is not False, one


def test_nor_after_a_second_run_was_cancelled(world: World, plan: Any) -> None:
    plan()
    users(world, "ann", "bob")
    migrated(world)
    run = start(by="tester")
    cancel(run, by="tester", reason="a slip")
    builders.finish(run)
    assert Run.objects.get(pk=run.pk).state == "cancelled"
    found = result(taking.take(by="tester"), "Every row is accounted for")
    assert found["passed"] is True, found


def test_the_strays_of_a_tenant_that_legacy_counts_are_counted(world: World, settings: Any, tmp_path: Path) -> None:
    one, _ = teams(world, settings, tmp_path, "acme", "bolt")
    assert moved(one).error == ""
    legacy(world, "UPDATE people SET phone = '1' WHERE login = 'p1'")
    both_loops()
    assert Stray.objects.filter(state="open").count() == 1
    assert scopes.scope_of([one]).strays == 1


def test_a_password_is_not_asked_of_legacy_for_who_has_none(world: World, joined: Any, settings: Any) -> None:
    joined()
    legacy(world, "INSERT INTO people (login, org, mail) SELECT 'sso', id, 's@example.org' FROM orgs LIMIT 1")
    migrated(world)
    for tenant in TenantHome.objects.values_list("pk", flat=True):
        assert moved(tenant).error == ""
    there = Legacy()
    settings.PASSWORD_CHECK_URL, settings.PASSWORD_CHECK_SECRET = there.url, "a secret of both sides"
    with pytest.raises(sign_in.WrongCredentials):
        sign_in.sign_in(sign_in.Asked("sso", "only legacy knows"))
    assert there.asked == []


def test_the_inventory_names_what_the_iam_can_check(world: World, plan: Any) -> None:
    plan()
    for number, stored in enumerate(
        ("argon2$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA", "bcrypt_sha256$$2b$04$x", "!", "")
    ):
        legacy(world, "INSERT INTO auth_user (username, email, password) VALUES (%s, %s, %s)",
               f"u{number}", f"u{number}@example.org", stored)  # fmt: skip
    assert "unknown" not in inventory()["password_schemes"]


def test_the_inventory_counts_a_tenants_users_whatever_case_its_id_is_in(
    world: World, settings: Any, tmp_path: Path
) -> None:
    legacy(world, "CREATE TABLE firms (id uuid PRIMARY KEY, title text NOT NULL);"
                  "CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), firm text NOT NULL, login text NOT NULL);"
                  f"INSERT INTO firms VALUES ('{ONE}', 'Acme');"
                  f"INSERT INTO people (firm, login) VALUES (upper('{ONE}'), 'ann'), ('{ONE}', 'bob')")  # fmt: skip
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text("""
name = "firms"
[[tables]]
source = "firms"
target = "tenants"
key = ["id"]
tenant = "id"
columns = { id = "id", name = "title", slug = "title" }
reverse = { id = "id", title = "name" }
[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
columns = { id = "id", tenant_id = "firm::uuid", username = "login", hashed_password = "'!'" }
reverse = { id = "id", firm = "tenant_id::text", login = "username" }
""")
    run = builders.migrated(world, capture=True)
    assert report(run).passed
    assert [(each["id"], each["users"]) for each in inventory()["tenants"]] == [(ONE, 2)]


def test_a_firm_born_after_the_end_is_final(world: World, settings: Any) -> None:
    begun(world, settings, "05_roles_by_name")
    builders.decided()
    for tenant in TenantHome.objects.values_list("pk", flat=True):
        both_loops()  # the loops go on meanwhile
        assert moved(tenant).error == ""
    both_loops()
    finalize.finalize(by="tester", reason="done")
    homes.born_in_iam("5f0c0000-0000-4000-8000-0000000000aa", "New")

    left = [(each.what, each.count, each.some) for each in remaining() if not each.done]
    assert not [each for each in left if "reversed" in each[0]]


@pytest.mark.parametrize("decided", ["open", "discarded"])
def test_a_row_that_was_kept_back_and_deleted_since_is_no_row_of_legacys(
    world: World, settings: Any, tmp_path: Path, decided: str
) -> None:
    odd_teams(world, settings, tmp_path)
    if decided == "discarded":
        builders.decided()
    legacy(world, "DELETE FROM people WHERE login = 'bob'")
    both_loops()
    run = Run.objects.get()
    verify(run, by="tester")
    builders.finish(run)
    found = report(Run.objects.get()).tables["users"]
    assert found.source == legacy(world, "SELECT count(*) FROM people")[0][0], found


def test_inventories_with_a_person_of_no_tenant_are_compared(world: World, plan: Any) -> None:
    plan(*BY_TEXT)
    organizations(world, ONE)
    users(world, "ann", organization="1")
    before = inventory()
    users(world, "odd", organization="z")
    after = inventory()
    assert [change for change in compare(before, after) if change.subject == "auth_user"]


def test_the_page_of_two_such_inventories_is_shown(world: World, plan: Any) -> None:
    plan(*BY_TEXT)
    organizations(world, ONE)
    users(world, "ann", organization="1")
    one = asking.take_now("inventory", by="t")
    users(world, "odd", organization="z")
    two = asking.take_now("inventory", by="t")
    client = browser("operator")
    client.raise_request_exception = False
    for path in (f"{two.pk}/change/", f"{two.pk}/download.txt", f"compare/?before={one.pk}&after={two.pk}"):
        assert client.get(f"/admin/inventory/inventory/{path}").status_code == 200, path


@pytest.mark.parametrize("how", ["uncaptured", "finalized"])
def test_a_report_says_the_same_once_nothing_is_captured_any_more(
    world: World, settings: Any, tmp_path: Path, how: str
) -> None:
    one, two = teams(world, settings, tmp_path, "acme", "bolt")
    legacy(world, "INSERT INTO people (team, login, mail) VALUES (1, 'late', 'not json')")
    both_loops()
    for _ in range(7):
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
        both_loops()
    run = Run.objects.get()
    builders.decided()
    verify(run, by="tester")
    builders.finish(run)
    assert report(Run.objects.get()).passed, report(Run.objects.get())
    if how == "uncaptured":
        uncapture.uncapture(Run.objects.get(), by="tester", reason="r")
    else:
        for tenant in (one, two):
            assert moved(tenant).error == ""
            both_loops()
        finalize.finalize(by="tester", reason="done")
    found = report(Run.objects.get())
    assert found.passed, found
    assert result(taking.take(by="t"), "Every row is accounted for")["passed"] is True


def test_the_dashboard_counts_rows_in_quarantine_once(world: World, settings: Any) -> None:
    run = begun(world, settings, "05_roles_by_name")

    mine = QuarantinedRow.objects.filter(run=run.key, state="open").count()
    assert mine == 1
    assert browser("viewer").get("/admin/").context["quarantined"] == mine


def test_and_none_of_a_run_that_was_undone(world: World, settings: Any) -> None:
    settings.MIGRATION_PLAN = EXAMPLES / "05_roles_by_name" / "plan.toml"
    with world.legacy() as connection:
        examples.fill_legacy(connection, EXAMPLES / "05_roles_by_name")
    run = builders.migrated(world)
    undo(run, by="tester", reason="r")
    builders.finish(run)
    assert browser("viewer").get("/admin/").context["quarantined"] == 0


def test_the_board_counts_what_is_in_quarantine_of_a_tenant_that_legacy_counts(
    world: World, settings: Any, tmp_path: Path
) -> None:
    odd_teams(world, settings, tmp_path)
    shown = browser("operator").get("/admin/cutover/").content.decode()
    [row] = [each for each in re.findall(r"<tr.*?</tr>", shown, re.S) if ">bolt<" in each]
    figures = [each.strip() for each in re.findall(r'<td class="p-num">(.*?)</td>', row, re.S)]
    assert "In quarantine: 1" in moved(team(world, "bolt")).error
    assert re.sub("<.*?>", "", figures[-1], flags=re.S) == "1"


def test_the_matrix_hears_of_findings_beside_a_run_that_was_cancelled(world: World, plan: Any) -> None:
    plan()
    users(world, "ann", "bob")
    run = migrated(world)
    other = start(by="tester")
    cancel(other, by="tester", reason="a slip")
    builders.finish(other)
    judge.judge()
    assert moved(ONE).error == ""
    iam(world, "INSERT INTO portal_ledger.findings (run, verification, table_name, kind, key)"
               " VALUES (%s, %s, 'users', 'differs', %s)",
        run.key, run.verification, ["a"])  # fmt: skip
    assert Run.objects.in_force() == run and run.differing == 1
    assert measure().integrity_findings == 1
    assert "The last verification has findings." in health.blockers()


def test_a_checkpoint_after_the_end_does_not_say_that_nobody_lives_in_the_iam(world: World, plan: Any) -> None:
    plan()
    users(world, "ann")
    migrated(world)
    assert moved(ONE).error == ""
    both_loops()
    finalize.finalize(by="tester", reason="done")
    assert TenantHome.objects.filter(home="iam").count() == 1
    assert result(taking.take(by="t"), "Tenants can be reversed")["what"] != "No tenant lives in the IAM."


def test_whose_password_was_taken_away_is_let_in_by_nobody(world: World, settings: Any) -> None:
    begun(world, settings, "03_keycloak")
    realm = legacy(world, "SELECT id FROM realm ORDER BY name LIMIT 1")[0][0]
    assert moved(realm).error == ""
    [(name,)] = iam(world, "UPDATE users SET hashed_password = '!' WHERE id ="
                           " (SELECT min(id::text)::uuid FROM users WHERE tenant_id = %s) RETURNING username", realm)  # fmt: skip
    both_loops()
    there = Legacy()  # which has kept the password, for the plan brings none back
    settings.PASSWORD_CHECK_URL, settings.PASSWORD_CHECK_SECRET = there.url, "a secret of both sides"
    with pytest.raises(sign_in.WrongCredentials):
        sign_in.sign_in(sign_in.Asked(name, "only legacy knows", tenant=realm))


def test_reset_of_many_by_mail_goes_back_with_them(world: World, joined: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "https://portal.example.org"
    joined()
    for name in ("ann", "bob"):
        person(world, name, hash="proprietary:1")
    legacy(world, "UPDATE people SET mail = login || '@example.org'")
    migrated(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    texts.save("reset", "en", by="otto", kind="maintenance", subject="s", text="See $password_link", html="")
    notice = planning.plan("Reset", "reset", {"passwords": "legacy"}, by="otto")
    send.expand(notice)
    assert Recipient.objects.filter(notice=notice).count() == 2
    ann = User.objects.get(username="ann")
    password_links.use(password_links.token_of(ann), "a long and new passphrase")
    there = Legacy()
    settings.PASSWORD_CHECK_URL, settings.PASSWORD_CHECK_SECRET = there.url, "a secret of both sides"
    sign_in.sign_in(sign_in.Asked("bob", "only legacy knows", tenant=acme))
    both_loops()
    assert unlike_people(world) == set()
    assert {row[0][:4] for row in legacy(world, "SELECT hash FROM credentials")} == {"$2b$"}
    with pytest.raises(password_mail.Unwanted):
        password_mail.link_of(Recipient.objects.get(notice=notice, email="bob@example.org"))
    assert moved(acme, "legacy").error == ""
    assert unlike_people(world) == set()


def test_a_paused_notice_of_a_wave_goes_on_with_those_who_are_there(world: World, plan: Any, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    waved(world, plan, guarded=False)
    texts.save("moving", "en", by="otto", **(COMPLETION | {"kind": "announcement"}))
    notice = planning.plan("W", "moving", {"wave": "w"}, by="otto")
    planning.move(notice, "paused", by="otto")
    planning.tick()
    planning.move(notice, "sending", by="otto")
    planning.tick()
    notice.refresh_from_db()
    assert (notice.state, planning.counts(notice)["sent"]) == ("sent", 2)
