"""A link by which somebody chooses a new password: for its owner, once, for some days, and no second factor less."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from flags.models import TenantHome
from iam import password_links
from iam.models import User
from tests.iam.conftest import Api
from tests.iam.conftest import api as api  # the fixture
from tests.legacy_compat.conftest import make_user
from tests.world import World

PAGE, CHOSEN = "/oauth/new-password", "a long and new passphrase"


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.fixture
def ann(api: Api) -> User:
    """Somebody whose password only legacy could check."""
    return make_user(api.tenant, username="ann", hashed_password="{SHA}what-is-this")


def choose(token: str, password: str = CHOSEN, again: str = "") -> Any:
    return Client().post(PAGE, {"token": token, "new_password": password, "again": again or password})


def test_somebody_chooses_a_password_and_signs_in_with_it(api: Api, ann: User) -> None:
    token = password_links.token_of(ann)
    page = Client().get(PAGE, {"token": token})
    assert page.status_code == 200 and "Choose a password" in page.content.decode() and "ann" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert (
        page["Referrer-Policy"] == "same-origin"
    )  # under a stricter one a browser's form is of no origin, and refused
    assert api.login(ann, password=CHOSEN).status_code == 401
    assert choose(token).status_code == 200
    assert api.login(ann, password=CHOSEN).status_code == 200


def test_a_link_is_good_for_one_password(api: Api, ann: User) -> None:
    token = password_links.token_of(ann)
    assert choose(token).status_code == 200
    assert choose(token, "another long passphrase").status_code == 410
    assert "no longer works" in Client().get(PAGE, {"token": token}).content.decode()
    assert api.login(ann, password=CHOSEN).status_code == 200


def test_another_change_of_the_password_ends_the_link(ann: User) -> None:
    token = password_links.token_of(ann)
    User.objects.filter(pk=ann.pk).update(hashed_password="$2b$04$" + "b" * 53)
    assert choose(token).status_code == 410


def test_a_link_ends_after_its_days(ann: User, settings: Any) -> None:
    token = password_links.token_of(ann)
    settings.PASSWORD_LINK_HOURS = 0
    time.sleep(1.1)
    assert choose(token).status_code == 410


@pytest.mark.parametrize("token", ["", "nonsense", "é:x", "a:b:c", "x" * 5000, "%00"])
def test_what_is_no_link_says_so(world: World, token: str) -> None:
    assert Client().get(PAGE, {"token": token}).status_code == 410
    assert choose(token).status_code == 410


def test_what_we_signed_for_something_else_is_no_link(ann: User) -> None:
    stolen = signing.dumps([str(ann.pk), password_links._state(ann)], salt="something else")
    assert choose(stolen).status_code == 410


@pytest.mark.parametrize("gone", [{"is_active": False}, {"is_active": None}])
def test_somebody_who_cannot_sign_in_chooses_nothing(ann: User, gone: dict[str, Any]) -> None:
    token = password_links.token_of(ann)
    User.objects.filter(pk=ann.pk).update(**gone)
    assert choose(token).status_code == 410


def test_a_weak_or_misspelt_password_is_asked_for_again(api: Api, ann: User) -> None:
    token = password_links.token_of(ann)
    weak, other = choose(token, "short"), choose(token, CHOSEN, "a long and old passphrase")
    assert weak.status_code == other.status_code == 422
    assert "at least" in weak.content.decode() and "two different" in other.content.decode()
    assert choose(token).status_code == 200


def test_whose_tenant_is_at_home_in_legacy_changes_nothing_here(api: Api, ann: User) -> None:
    token = password_links.token_of(ann)
    TenantHome.objects.filter(tenant=str(api.tenant.pk)).update(home="legacy")
    assert choose(token).status_code == 409
    assert User.objects.get(pk=ann.pk).hashed_password == ann.hashed_password


def test_guessing_at_links_is_bounded(ann: User, settings: Any) -> None:
    settings.AUTH_CALLS_A_MINUTE = 3
    assert [Client().get(PAGE, {"token": "x"}).status_code for _ in range(5)] == [410, 410, 410, 429, 429]
