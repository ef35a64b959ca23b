"""Requesting moves."""

from __future__ import annotations

import pytest

from flags.models import TenantHome
from migration_portal.cutover.work import work
from tests.cutover.board import browser, said
from tests.world import World


def test_a_second_operator_is_told_that_the_tenant_is_being_moved(world: World, acme: str) -> None:
    client = browser("operator")
    data = {"to": "iam", "tenant": acme, "typed": "cut over"}
    said(client, "/admin/cutover/move/", data)
    assert "being moved already" in said(client, "/admin/cutover/move/", data)


def test_the_terminal_cuts_over_and_reverses(world: World, acme: str) -> None:
    from django.core.management import CommandError, call_command

    call_command("portal", "cut_over", acme)
    work()
    assert TenantHome.objects.get().home == "iam"
    with pytest.raises(CommandError, match="needs a reason"):
        call_command("portal", "reverse", "all")
    with pytest.raises(CommandError, match="no such tenant"):
        call_command("portal", "cut_over", "nobody")
    call_command("portal", "reverse", "all", reason="test")
    work()
    assert TenantHome.objects.get().home == "legacy"
