"""Features in the console and in SQL: who may do what, what a change would reach, and why a flag is on."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from django.test import Client, RequestFactory
from openfeature.evaluation_context import EvaluationContext
from psycopg.sql import SQL

from flags import change as changing
from flags.decide import Definition, Subject, decide
from flags.evaluate import definitions, explain, is_on
from flags.models import Flag, TenantHome
from flags.provider import FlagProvider
from flags.sql import condition
from migration_portal.audit.models import Event
from migration_portal.features import switch
from migration_portal.plan.errors import Refusal
from tests import builders
from tests.stack import World


@pytest.fixture(autouse=True)
def fresh(world: World) -> None:
    definitions(fresh=True)


def flag(name: str = "new_ui_enabled") -> Flag:
    return Flag.objects.get(name=name)


def browser(*groups: str) -> Client:
    client = Client()
    client.force_login(builders.member(*groups))
    return client


def said(client: Client, url: str, data: dict) -> str:
    return client.post(url, data, follow=True).content.decode()


def test_sql_and_python_cover_the_same_users_and_tenants(world: World) -> None:
    world.sample(users=300, tenants=12, rate=0)
    builders.migrated(world)
    chance = random.Random(5)
    with world.iam() as iam:
        people = iam.execute("SELECT id::text, tenant_id::text FROM users").fetchall()
        tenants = [row[0] for row in iam.execute("SELECT id::text FROM tenants").fetchall()]
        waves = {"pilot": tenants[:3]}
        for _ in range(25):
            flags = {
                name: Definition(
                    name, kind=chance.choice(("user", "tenant")), percentage=Decimal(chance.choice((0, 7.125, 50, 100))),
                    killed=chance.random() < 0.1, requires=("parent",) if name == "child" else (), salt=str(chance.random()),
                    targets=frozenset([f"user:{chance.choice(people)[0]}", f"tenant:{chance.choice(tenants)}"]),
                    excluded=frozenset([f"tenant:{chance.choice(tenants)}", f"user:{chance.choice(people)[0]}"]),
                    waves=frozenset(["pilot"] if chance.random() < 0.5 else []),
                )
                for name in ("parent", "child")
            }  # fmt: skip

            def wave(tenant: str) -> str:
                return "pilot" if tenant in waves["pilot"] else ""

            rows = iam.execute(
                SQL("SELECT id::text FROM users WHERE {}").format(
                    condition(flags, "child", waves, user="id", tenant="tenant_id")
                )
            )
            by_python = {u for u, t in people if decide(flags, "child", Subject(u, t, wave(t))).on}
            assert {row[0] for row in rows} == by_python
            rows = iam.execute(
                SQL("SELECT id::text FROM tenants WHERE {}").format(
                    condition(flags, "child", waves, user=None, tenant="id")
                )
            )
            by_python = {t for t in tenants if decide(flags, "child", Subject("", t, wave(t))).on}
            assert {row[0] for row in rows} == by_python


def test_the_strategys_flags_are_there_with_what_they_require(world: World) -> None:
    assert flag("social_login_enabled").requires.get() == flag("oauth2_enabled")
    assert flag("oauth2_enabled").requires.get() == flag("database_migration_complete")
    changing.change(flag("oauth2_enabled"), by="t", reason="t", percentage=100)
    decision = explain("oauth2_enabled", Subject("u"), fresh=True)
    assert not decision.on and "database_migration_complete" in decision.why


def test_the_migration_being_complete_is_derived_and_cannot_be_switched(world: World) -> None:
    assert switch.derive() is False
    with pytest.raises(Refusal, match="is a fact"):
        switch.switch(flag("database_migration_complete"), by="t", reason="t", percentage=100)
    world.sample(users=80, tenants=8)
    builders.migrated(world)
    assert switch.derive() is True
    assert flag("database_migration_complete").changes.get().by == "system"


def test_killing_a_parent_takes_its_children_along(world: World) -> None:
    changing.learn("database_migration_complete", met=True)
    for name in ("oauth2_enabled", "social_login_enabled"):
        changing.change(flag(name), by="t", reason="t", percentage=100)
    assert explain("social_login_enabled", Subject("u"), fresh=True).on
    changing.kill(flag("oauth2_enabled"), by="t", reason="t")
    assert not explain("social_login_enabled", Subject("u"), fresh=True).on


def test_a_circle_of_prerequisites_is_refused_and_changes_nothing(world: World) -> None:
    with pytest.raises(Refusal, match="in a circle"):
        switch.switch(flag("new_ui_enabled"), by="t", reason="t", requires=[flag("new_ui_enabled")])
    assert not flag("new_ui_enabled").requires.exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [({"percentage": 101}, "not a percentage"), ({"targets": ["ann@example.org"]}, "E-mails are not ids")],
)
def test_bad_values_are_refused_in_words(world: World, values: dict, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        switch.switch(flag(), by="t", reason="t", **values)


def test_operators_narrow_and_approvers_widen(world: World) -> None:
    operator, approver = browser("operator"), browser("approver")
    url, wider = "/admin/features/new_ui_enabled/change/", {"percentage": "25", "reason": "pilot"}
    assert operator.post(url, wider).status_code == 403
    assert "seen everywhere" in said(approver, url, wider)
    assert "seen everywhere" in said(operator, url, {"percentage": "5", "reason": "too many"})
    assert flag().percentage == 5
    assert "Killed" in said(operator, "/admin/features/new_ui_enabled/kill/", {"reason": "stop"})
    assert operator.post(url, {"percentage": "5", "revive": "yes", "reason": "again"}).status_code == 403
    verbs = list(Event.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["change_flag", "change_flag", "kill_flag"]


def test_a_change_wants_a_reason(world: World) -> None:
    assert "needs a reason" in said(browser("approver"), "/admin/features/new_ui_enabled/change/", {"percentage": "9"})
    assert flag().percentage == 0


def test_the_preview_counts_before_anything_changes(world: World) -> None:
    world.sample(users=100, tenants=10, rate=0)
    builders.migrated(world)
    page = browser("viewer").get("/admin/features/new_ui_enabled/?percentage=100&kind=user").content.decode()
    users = switch.reach(flag(), percentage=Decimal(100)).users
    assert f"<b>{users}</b><span>users would have it after the change" in page
    assert flag().percentage == 0
    assert browser("viewer", "support").get("/admin/features/").status_code == 200


def test_the_form_shows_what_is_set_and_sends_it_back(world: World) -> None:
    changing.change(flag(), by="t", reason="t", targets=["user:u1", "tenant:t1"], waves=["first wave", "second"])
    page = browser("approver").get("/admin/features/new_ui_enabled/").content.decode()
    assert ">user:u1\ntenant:t1</textarea>" in page and ">first wave\nsecond</textarea>" in page
    assert "{{" not in page


def test_a_tenants_wave_turns_a_feature_on_and_the_page_says_why(world: World) -> None:
    TenantHome.objects.create(tenant="t1", legacy_tenant="t1", wave="pilot")
    changing.change(flag(), by="t", reason="t", waves=["pilot"])
    page = browser("viewer").get("/admin/features/new_ui_enabled/?tenant=t1").content.decode()
    assert "<b>On.</b> The tenant is in wave pilot." in page


def test_openfeature_answers_with_the_reason_and_the_default_where_there_is_no_flag(world: World) -> None:
    changing.change(flag(), by="t", reason="t", targets=["user:u1"])
    definitions(fresh=True)
    provider = FlagProvider()
    found = provider.resolve_boolean_details("new_ui_enabled", False, EvaluationContext(targeting_key="u1"))
    assert found.value is True and found.flag_metadata["why"] == "user:u1 is targeted."
    unknown = provider.resolve_boolean_details("no_such_flag", True, EvaluationContext(targeting_key="u1"))
    assert unknown.value is True and unknown.error_code is not None
    assert provider.resolve_string_details("new_ui_enabled", "plain").value == "plain"


def test_waffles_own_question_is_answered_by_our_rule(world: World) -> None:
    from waffle import flag_is_active

    changing.change(flag(), by="t", reason="t", targets=["user:u1"])
    definitions(fresh=True)
    request = RequestFactory().get("/")
    request.user = builders.member("operator")
    assert not flag_is_active(request, "new_ui_enabled")
    request.flag_subject = Subject("u1")
    assert flag_is_active(request, "new_ui_enabled")
    assert is_on("new_ui_enabled", Subject("u1"))
