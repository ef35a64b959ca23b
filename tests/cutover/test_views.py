"""The board: who sees what, and what the dialogs ask for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flags.models import TenantHome
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from tests import builders
from tests.cutover.board import browser, said
from tests.world import World


def test_the_board_shows_each_tenant_with_its_home(world: World, acme: str) -> None:
    page = browser("viewer").get("/admin/cutover/").content.decode()
    assert "Acme" in page and "0 of 1" in page
    assert "data-opens" not in page  # a viewer has no buttons


def test_a_cut_over_wants_the_words_typed_and_a_tenant_ticked(world: World, acme: str) -> None:
    client = browser("operator")
    assert "type: cut over" in said(client, "/admin/cutover/move/", {"to": "iam", "tenant": acme, "typed": "yes"})
    assert "No tenant is ticked" in said(client, "/admin/cutover/move/", {"to": "iam", "typed": "cut over"})
    assert not Cutover.objects.exists()
    answer = said(client, "/admin/cutover/move/", {"to": "iam", "tenant": acme, "typed": "cut over", "wave": "pilot"})
    assert "Moves requested: 1" in answer
    work()
    assert TenantHome.objects.get().wave == "pilot"


@pytest.mark.parametrize("group", ["viewer", "support", "approver"])
def test_only_operators_move_tenants_and_only_by_post(world: World, acme: str, group: str) -> None:
    client = browser(group)
    assert client.post("/admin/cutover/move/", {"to": "iam", "tenant": acme, "typed": "cut over"}).status_code == 403
    assert client.get("/admin/cutover/move/").status_code == 405


def test_only_approvers_switch_the_guard_and_finalize(world: World, acme: str) -> None:
    operator = browser("operator")
    for url in ("/admin/cutover/guard/", "/admin/cutover/finalize/"):
        assert operator.post(url, {"on": "yes"}).status_code == 403
    approver = browser("approver")
    assert "The guard is on" in said(approver, "/admin/cutover/guard/", {"on": "yes", "reason": "test"})
    answer = said(approver, "/admin/cutover/finalize/", {"typed": "finalize", "reason": "test"})
    assert "still at home in legacy" in answer


def test_a_user_is_shown_field_by_field_without_secrets(world: World, acme: str) -> None:
    page = browser("support").get(f"/admin/cutover/tenant/{acme}/?user=ann@example.org&compare=yes").content.decode()
    assert "ann@example.org" in page and "full_name" in page
    assert "Every row of this tenant is the same on both sides" in page
    assert builders.HASH not in page and "(secret)" in page


def test_the_board_says_what_waits_and_which_database_is_away(world: World, acme: str, settings: Any) -> None:
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET bio = 'x'")
    client = browser("viewer")
    page = client.get("/admin/cutover/").content.decode()
    cells = [cell.strip() for cell in re.findall(r'<td class="p-num">([^<]*)</td>', page)]
    assert cells[:2] == ["1", "1"], cells  # users, and changes waiting
    settings.LEGACY_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    page = client.get("/admin/cutover/").content.decode()
    assert "legacy database" in page and "Acme" in page


def test_a_user_that_only_the_iam_has_is_shown_too(world: World, acme: str) -> None:
    with world.iam() as iam:
        iam.execute("UPDATE users SET username = 'only-here'")
    page = browser("viewer").get(f"/admin/cutover/tenant/{acme}/?user=only-here").content.decode()
    assert "differs" in page and "No such user" not in page
    assert "No such user" in browser("support").get(f"/admin/cutover/tenant/{acme}/?user=nobody").content.decode()


def test_a_tenants_name_on_the_board_follows_the_iam(world: World, acme: str) -> None:
    assert TenantHome.objects.get(pk=acme).name == "Acme"
    with world.iam() as iam:
        iam.execute("UPDATE tenants SET name = 'Acme Ltd'")
    sync_tenants()
    assert TenantHome.objects.get(pk=acme).name == "Acme Ltd"
