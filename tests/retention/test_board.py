"""The page of the audit log's retention, and legal holds by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client

from migration_portal.approvals.models import Approval
from migration_portal.audit import chain
from migration_portal.audit.models import Event
from migration_portal.retention import holding
from migration_portal.retention.models import Hold
from tests import builders
from tests.console.browsing import browser, words
from tests.world import World

FORM = {"matter": "Case 7", "since": "2026-01-01", "until": "", "reason": "a court asks"}
PAGE = "/admin/retention/"


def held() -> Hold:
    return holding.place("Case 7", date(2026, 1, 1), None, by="otto", reason="a court asks")


def test_an_operator_places_a_hold_and_everybody_sees_it(rolled_back: World) -> None:
    chain.record("start")
    answer = browser("operator").post(f"{PAGE}hold/", FORM, follow=True)
    assert "Placed: Case 7." in words(answer) and "2026-01-01 to whenever" in words(answer)
    event = Event.objects.get(verb="place_hold")
    assert (event.actor, event.reason, event.data["from"]) == ("operator", "a court asks", "2026-01-01")
    seen = browser("viewer").get(PAGE)
    assert "Case 7" in words(seen) and "Place a legal hold" not in words(seen) and "Release…" not in words(seen)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"matter": " "}, "needs a name"), ({"since": ""}, "needs its first day"), ({"since": "2026-13-40"}, "no day"),
        ({"until": "soon"}, "no day"), ({"until": "2025-12-31"}, "before its first"), ({"reason": ""}, "needs a reason"),
    ],
)  # fmt: skip
def test_half_a_hold_is_refused_in_words(rolled_back: World, changed: dict[str, str], said: str) -> None:
    assert said in words(browser("operator").post(f"{PAGE}hold/", FORM | changed, follow=True))
    assert not Hold.objects.exists()


def test_two_holds_of_one_name_would_be_taken_for_one(rolled_back: World) -> None:
    hold = held()
    client = browser("operator")
    assert "A hold of that name stands" in words(client.post(f"{PAGE}hold/", FORM, follow=True))
    holding.release(hold, by="ann", reason="settled")
    assert "Placed: Case 7." in words(client.post(f"{PAGE}hold/", FORM, follow=True))


def test_a_hold_is_released_by_two(rolled_back: World, settings: Any) -> None:
    settings.APPROVALS = ["release_hold"]
    hold = held()
    answer = browser("approver").post(f"{PAGE}hold/{hold.pk}/release/", {"reason": "settled"}, follow=True)
    assert "a second person has to agree" in words(answer) and Hold.objects.standing().exists()
    another = Client()
    another.force_login(builders.member("approver", username="another"))
    approval = Approval.objects.get(action="release_hold")
    assert approval.impact[0][0] == "Stretches it holds"
    another.post(f"/admin/approvals/{approval.pk}/agree/", follow=True)
    hold.refresh_from_db()
    assert (hold.released_by, hold.released_for) == ("approver", "settled")
    event = Event.objects.get(verb="release_hold")
    assert (event.actor, event.data["approver"]) == ("approver", "another")


def test_an_approver_alone_releases_where_nobody_else_is_asked_for(rolled_back: World, settings: Any) -> None:
    settings.APPROVALS = []
    hold = held()
    client = browser("approver")
    assert "Released: Case 7." in words(
        client.post(f"{PAGE}hold/{hold.pk}/release/", {"reason": "settled"}, follow=True)
    )
    again = client.post(f"{PAGE}hold/{hold.pk}/release/", {"reason": "settled"}, follow=True)
    assert "It has been released" in words(again)
    operator = builders.member("operator", username="op")
    client.force_login(operator)
    assert client.post(f"{PAGE}hold/{held().pk}/release/", {"reason": "x"}).status_code == 403


def test_the_page_says_what_is_kept_and_for_how_long(rolled_back: World, settings: Any) -> None:
    client = browser("viewer")
    assert "Events are kept for ever" in words(client.get(PAGE))
    settings.AUDIT_RETENTION_MONTHS = 24
    assert "Events are kept for 24 months" in words(client.get(PAGE))
