"""The drafting page: who may, what is kept, and what is never shown."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from migration_portal.audit.models import Event
from migration_portal.drafting.checking import check
from migration_portal.drafting.draft import draft_now
from migration_portal.drafting.models import PlanDraft
from migration_portal.runs.models import Run
from tests import builders
from tests.drafting.schemas import fill
from tests.stack import furnished
from tests.world import World


@furnished
def django(world: World) -> None:
    fill(world, "django")


def _client(*groups: str, writes: bool = False) -> Client:
    user = builders.member(*groups)
    if writes:
        user.user_permissions.add(Permission.objects.get(codename="write_plandraft"))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("path", ["draft/", "check/", "save/", "dry-run/"])
def test_no_group_may_write_plans_until_somebody_grants_it(django: None, path: str) -> None:
    text = draft_now("x").text
    PlanDraft.objects.create(name="x", text=text, saved_by="somebody")
    answer = _client("viewer", "support", "operator", "approver").post(f"/admin/draft/{path}", {"text": text})
    if path == "dry-run/":  # an operator may start runs, but not by a text that somebody wrote here
        assert not Run.objects.exists()
    assert answer.status_code == 403 and PlanDraft.objects.count() == 1


def test_whoever_sees_the_plan_sees_the_draft_and_none_of_its_rows(django: None) -> None:
    PlanDraft.objects.create(name="x", text=draft_now("x").text, saved_by="somebody")
    client = _client("viewer")
    shown = client.get("/admin/draft/").content.decode()
    assert "auth_user" in shown and "user1@example.org" not in shown
    assert client.get("/admin/draft/plan.toml").content.decode().startswith("# A first plan")


def test_a_draft_and_each_saved_version_is_on_the_record(django: None) -> None:
    client = _client(writes=True)
    client.post("/admin/draft/draft/", {"source_schema": "public"})
    latest = PlanDraft.objects.first()
    client.post("/admin/draft/save/", {"text": latest.text + "\n# decided\r\n", "base": latest.pk})
    assert [draft.text.endswith("# decided\n") for draft in PlanDraft.objects.all()] == [True, False]
    verbs = list(Event.objects.filter(verb__contains="draft").order_by("pk").values_list("verb", flat=True))
    assert verbs == ["draft_plan", "save_plan_draft"]


def test_what_cannot_be_saved_stays_in_the_editor_and_says_why(django: None) -> None:
    latest = PlanDraft.objects.create(name="x", text=draft_now("x").text, saved_by="ann")
    answer = _client(writes=True).post("/admin/draft/save/", {"text": "name = # mine", "base": latest.pk})
    page = answer.content.decode()
    assert answer.status_code == 422 and "not valid TOML" in page and "# mine" in page
    assert PlanDraft.objects.count() == 1


def test_a_later_save_does_not_silently_replace_anothers(django: None) -> None:
    first = PlanDraft.objects.create(name="x", text=draft_now("x").text, saved_by="ann")
    theirs = PlanDraft.objects.create(name="x", text=f"{first.text}# of ben", saved_by="ben")
    client = _client(writes=True)
    answer = client.post("/admin/draft/save/", {"text": f"{first.text}# of ann", "base": first.pk})
    assert answer.status_code == 409 and "# of ann" in answer.content.decode() and PlanDraft.objects.first() == theirs
    assert client.post("/admin/draft/save/", {"text": f"{first.text}# of ann", "base": theirs.pk}).status_code == 302
    assert "# of ben" in client.get(f"/admin/draft/?version={theirs.pk}").content.decode()


def test_after_signing_in_again_the_editor_is_shown(django: None) -> None:
    assert _client(writes=True).get("/admin/draft/save/")["Location"] == "/admin/draft/"


def test_a_schema_that_is_not_there_is_told(django: None) -> None:
    answer = _client(writes=True).post("/admin/draft/draft/", {"source_schema": "nowhere"}, follow=True)
    assert "nowhere" in answer.content.decode() and not PlanDraft.objects.exists()


def test_nothing_is_checked_by_a_link(django: None) -> None:
    assert _client(writes=True).get("/admin/draft/check/").status_code == 405


def test_ten_rows_are_shown_before_and_after(django: None) -> None:
    checked = check(draft_now("x").text)
    users = next(table for table in checked.tables if table.target == "users")
    mail = next(column for column in users.columns if column.name == "email")
    assert len(mail.rows) == 10 and mail.rows[0] == ("email: user1@example.org", "user1@example.org")
    name = next(column for column in users.columns if column.name == "full_name")
    assert name.rows[0] == ("first_name: Ann; last_name: Lee 1", "Ann Lee 1")


def test_secrets_are_hidden_before_and_after(django: None) -> None:
    users = next(table for table in check(draft_now("x").text).tables if table.target == "users")
    assert next(column for column in users.columns if column.name == "hashed_password").rows[0] == (
        "password: ••••",
        "••••",
    )


def test_an_expression_that_fails_on_a_row_is_told_apart_from_those_that_do_not(django: None) -> None:
    text = draft_now("x").text.replace('email = "email"', 'email = "1 / (id - 3) || email"')
    users = next(table for table in check(text).tables if table.target == "users")
    told = {column.name: (bool(column.error), len(column.rows)) for column in users.columns}
    assert told["email"] == (True, 0) and told["username"] == (False, 10)


def test_what_takes_for_ever_is_given_up_as_a_whole(django: None, monkeypatch: Any) -> None:
    monkeypatch.setattr("migration_portal.drafting.checking._SECONDS", 1)
    slow = "(SELECT email FROM (SELECT set_config('statement_timeout', '0', false), pg_sleep(30)) AS s)"
    begun = time.monotonic()
    [finding] = check(draft_now("x").text.replace('email = "email"', f'email = "{slow}"')).errors
    assert "longer than 1 seconds" in finding.what and finding.todo and time.monotonic() - begun < 8


def test_a_rule_that_fails_is_named(django: None) -> None:
    text = draft_now("x").text.replace(
        'source = "auth_user"\n', 'source = "auth_user"\nreject = { odd = "1 / (id - 3) > 0" }\n'
    )
    [finding] = check(text).errors
    assert finding.subject == "users: odd" and "division by zero" in finding.what


@pytest.mark.parametrize(
    "sql",
    [
        "1)::text; COMMIT; BEGIN READ WRITE; UPDATE auth_user SET email = 'gone'; COMMIT; SELECT ('x'",
        "'x'); DROP TABLE auth_user; --",
    ],
)
def test_an_expression_cannot_end_its_statement(django: None, world: World, sql: str) -> None:
    PlanDraft.objects.create(
        name="x", text=draft_now("x").text.replace('email = "email"', f'email = "{sql}"'), saved_by="eve"
    )
    assert check(PlanDraft.objects.first().text).errors
    assert _client(writes=True).get("/admin/draft/").status_code == 200
    with world.legacy() as legacy:
        assert legacy.execute("SELECT count(*) FROM auth_user WHERE email LIKE '%@%'").fetchone() == (300,)


def test_a_given_row_cannot_write_into_the_iam(django: None, world: World) -> None:
    with world.iam() as iam:
        iam.execute(
            "CREATE FUNCTION spoil() RETURNS text LANGUAGE sql AS"
            " $$ INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'spoilt') RETURNING 'x' $$"
        )
    assert check(draft_now("x").text.replace("\"'Our organization'\"", '"spoil()"')).errors
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM tenants").fetchone() == (0,)


@pytest.mark.parametrize(
    "text", ["tables = 3", "key = 5", "a = " + "[" * 5000, "n = " + "9" * 5000, 'rows = "x"', "[[tables]]\nkey = [1]"]
)
def test_whatever_is_typed_is_answered(django: None, text: str) -> None:
    client = _client(writes=True)
    assert "cannot be carried out yet" in client.post("/admin/draft/check/", {"text": text}).content.decode()


def test_an_expression_cannot_write(django: None, world: World) -> None:
    with world.legacy() as legacy:
        legacy.execute(
            "CREATE FUNCTION spoil() RETURNS text LANGUAGE sql AS $$ UPDATE auth_user SET email = 'gone' RETURNING 'x' $$"
        )
    text = draft_now("x").text.replace('email = "email"', 'email = "spoil()"')
    users = next(table for table in check(text).tables if table.target == "users")
    assert "read-only" in next(column for column in users.columns if column.name == "email").error
    with world.legacy() as legacy:
        assert legacy.execute("SELECT count(*) FROM auth_user WHERE email = 'gone'").fetchone() == (0,)


def test_a_database_that_is_away_is_a_finding(django: None, settings: Any) -> None:
    text = draft_now("x").text
    settings.LEGACY_DATABASE_URL = "postgres://nobody@127.0.0.1:1/none"
    [finding] = check(text).errors
    assert "legacy database" in finding.subject and finding.todo
