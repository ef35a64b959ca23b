"""Pages that are not there, not theirs or out of date say so in words, in the console; elsewhere as Django does."""

from __future__ import annotations

from django.test import Client

from tests import builders
from tests.console.browsing import browser, words
from tests.world import World


def test_a_page_that_is_not_there_says_so(rolled_back: World) -> None:
    answer = browser("viewer").get("/admin/approvals/999/")
    assert answer.status_code == 404 and "Nothing is here" in words(answer) and "Dashboard" in words(answer)
    assert "Nothing is here" not in words(Client().get("/nowhere"))


def test_what_one_may_not_do_says_who_gives_the_permission(rolled_back: World) -> None:
    answer = browser("viewer").post("/admin/backups/make/", {"side": "iam"})
    assert answer.status_code == 403 and "A superuser gives it" in words(answer)


def test_a_form_of_an_earlier_session_says_that_nothing_has_changed(rolled_back: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(builders.member("operator"))
    answer = client.post("/admin/backups/make/", {"side": "iam"})
    assert answer.status_code == 403 and "out of date" in words(answer) and "Nothing has changed" in words(answer)
