"""The board over HTTP: who may move tenants, what must be typed, and what is said when something is in the way."""

from __future__ import annotations

import pytest
from django.test import Client

from flags.models import TenantHome
from migration_portal.cutover import ask
from migration_portal.cutover.models import Cutover, Stray
from tests import builders
from tests.cutover.test_move import both_loops, legacy, moved
from tests.stack import World


def browser(*groups: str) -> Client:
    client = Client()
    client.force_login(builders.member(*groups))
    return client


@pytest.fixture
def home(world: World) -> str:
    builders.legacy_tables(world)
    made = builders.tenant(world, name="Acme")
    builders.user(world, made, username="ann", email="ann@example.org")
    builders.migrated(world, capture=True)
    ask.know_tenants()
    both_loops()
    return made


def said(client: Client, url: str, data: dict) -> str:
    return client.post(url, data, follow=True).content.decode()


def test_the_board_shows_each_tenant_with_its_home(world: World, home: str) -> None:
    page = browser("viewer").get("/admin/cutover/").content.decode()
    assert "Acme" in page and "0 of 1" in page
    assert "data-opens" not in page  # a viewer has no buttons


def test_a_cut_over_wants_the_words_typed_and_a_tenant_ticked(world: World, home: str) -> None:
    client = browser("operator")
    assert "type: cut over" in said(client, "/admin/cutover/move/", {"to": "iam", "tenant": home, "typed": "yes"})
    assert "No tenant is ticked" in said(client, "/admin/cutover/move/", {"to": "iam", "typed": "cut over"})
    assert not Cutover.objects.exists()
    answer = said(client, "/admin/cutover/move/", {"to": "iam", "tenant": home, "typed": "cut over", "wave": "pilot"})
    assert "1 tenants are being moved" in answer
    ask.work()
    assert TenantHome.objects.get().wave == "pilot"


def test_a_second_operator_is_told_that_the_tenant_is_being_moved(world: World, home: str) -> None:
    client = browser("operator")
    data = {"to": "iam", "tenant": home, "typed": "cut over"}
    said(client, "/admin/cutover/move/", data)
    assert "being moved already" in said(client, "/admin/cutover/move/", data)


@pytest.mark.parametrize("group", ["viewer", "support", "approver"])
def test_only_operators_move_tenants_and_only_by_post(world: World, home: str, group: str) -> None:
    client = browser(group)
    assert client.post("/admin/cutover/move/", {"to": "iam", "tenant": home, "typed": "cut over"}).status_code == 403
    assert client.get("/admin/cutover/move/").status_code == 405


def test_only_approvers_switch_the_guard_and_finalize(world: World, home: str) -> None:
    operator = browser("operator")
    for url in ("/admin/cutover/guard/", "/admin/cutover/finalize/"):
        assert operator.post(url, {"on": "yes"}).status_code == 403
    approver = browser("approver")
    assert "The guard is on" in said(approver, "/admin/cutover/guard/", {"on": "yes", "reason": "test"})
    answer = said(approver, "/admin/cutover/finalize/", {"typed": "finalize", "reason": "test"})
    assert "still at home in legacy" in answer


def test_a_user_is_shown_field_by_field_without_secrets(world: World, home: str) -> None:
    page = browser("support").get(f"/admin/cutover/tenant/{home}/?user=ann@example.org&compare=yes").content.decode()
    assert "ann@example.org" in page and "full_name" in page
    assert "Every row of this tenant is the same on both sides" in page
    assert builders.HASH not in page and "(secret)" in page


def test_a_stray_write_is_shown_on_both_sides_and_decided_with_a_reason(world: World, home: str) -> None:
    moved(home)
    legacy(world, "UPDATE users SET full_name = 'Stray'")
    both_loops()
    stray = Stray.objects.get()
    place = f"/admin/cutover/stray/{stray.pk}/"
    page = browser("support").get(place + "change/").content.decode()
    assert "Stray" in page and "Ann Lee" in page and "differs" in page
    assert browser("operator").post(place + "decide/", {"verb": "drop", "reason": "x"}).status_code == 403
    approver = browser("approver")
    assert "needs a reason" in said(approver, place + "decide/", {"verb": "drop"})
    assert "Decided" in said(approver, place + "decide/", {"verb": "drop", "reason": "mistake"})
    assert legacy(world, "SELECT full_name FROM users") == [("Ann Lee",)]


def test_the_terminal_cuts_over_and_reverses(world: World, home: str) -> None:
    from django.core.management import CommandError, call_command

    call_command("portal", "cut_over", home)
    ask.work()
    assert TenantHome.objects.get().home == "iam"
    with pytest.raises(CommandError, match="needs a reason"):
        call_command("portal", "reverse", "all")
    with pytest.raises(CommandError, match="no such tenant"):
        call_command("portal", "cut_over", "nobody")
    call_command("portal", "reverse", "all", reason="test")
    ask.work()
    assert TenantHome.objects.get().home == "legacy"
