"""Accepting that nobody answers an endpoint."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from legacy_compat.models import GivenUp
from legacy_compat.standing import unanswered
from migration_portal.audit.models import Event
from migration_portal.refusal import Refusal
from migration_portal.traffic.give_up import give_up, take_back
from tests import builders
from tests.legacy_compat.conftest import Old

NAME = "POST /oauth/v1/token"


@pytest.fixture(autouse=True)
def _released(old: Old, settings: Any) -> None:
    settings.LEGACY_CONTRACT, settings.LEGACY_UPSTREAM_URL = "observed", "http://127.0.0.1:1"


def test_it_is_on_the_record_and_can_be_taken_back() -> None:
    assert give_up([NAME, NAME], by="anna", reason="nobody calls it") == 1
    assert give_up([NAME], by="bo", reason="again") == 0
    assert NAME not in unanswered() and GivenUp.objects.get().by == "anna"
    take_back(NAME, by="anna", reason="the shop does")
    assert NAME in unanswered()
    assert list(Event.objects.order_by("id").values_list("verb", flat=True)) == [
        "give_up_endpoint",
        "take_back_endpoint",
    ]


def test_what_is_served_or_unknown_cannot_be_given_up() -> None:
    for name in ("GET /api/auth/me", "GET /api/nothing", ""):
        with pytest.raises(Refusal):
            give_up([name], by="anna", reason="x")
    for names, reason in (([], "x"), ([NAME], " ")):
        with pytest.raises(Refusal):
            give_up(names, by="anna", reason=reason)
    with pytest.raises(Refusal):
        take_back(NAME, by="anna", reason="x")


def test_the_page_lists_all_and_an_approver_accepts(old: Old) -> None:
    builders.member("operator", username="olga")
    old.client.login(username="olga", password="secret-pass-1")
    page = old.client.get("/admin/traffic/surface/").content.decode()
    assert "GET /api/products" in page and 'name="endpoint"' not in page
    post = {"endpoint": [NAME], "reason": "unused"}
    assert old.client.post("/admin/traffic/surface/give-up/", post).status_code == 403
    builders.member("approver", username="anna")
    old.client.login(username="anna", password="secret-pass-1")
    assert NAME in old.client.get("/admin/traffic/surface/").content.decode()
    answer = old.client.post("/admin/traffic/surface/give-up/", post, follow=True)
    assert "Accepted: 1" in answer.content.decode() and "(anna," in answer.content.decode()
    everything = {"all": "passed", "reason": "legacy goes in May"}
    assert (
        "Accepted: 41" in old.client.post("/admin/traffic/surface/give-up/", everything, follow=True).content.decode()
    )
    back = {"endpoint": NAME, "reason": "needed"}
    assert "is needed again" in old.client.post("/admin/traffic/surface/take-back/", back, follow=True).content.decode()


def test_the_command_lists_all_and_fails_while_something_is_open() -> None:
    told = io.StringIO()
    with pytest.raises(CommandError, match="would be answered by nobody"):
        call_command("portal", "surface", stdout=told)
    assert len([line for line in told.getvalue().splitlines() if "OPEN" in line]) > 5
    call_command("portal", "surface", accept=["all"], reason="agreed", stdout=told)
    call_command("portal", "surface", stdout=told)
