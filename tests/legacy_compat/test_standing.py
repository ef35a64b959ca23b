"""Who answers each endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings

from legacy_compat.models import GivenUp
from legacy_compat.serve import ENDPOINTS
from legacy_compat.standing import IAM, LEGACY, NOBODY, standings, unanswered
from legacy_compat.surface import GIVEN_UP, PASSED_ON, pattern
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.fixture
def released(world: World, settings: Any) -> None:
    settings.LEGACY_CONTRACT, settings.LEGACY_UPSTREAM_URL = "observed", "http://127.0.0.1:1"


def answers(name: str) -> tuple[str, str, str]:
    return next(each.answers for each in standings() if each.name == name)


def test_what_moves_is_served_and_the_rest_goes_on_to_legacy(released: None) -> None:
    assert answers("PUT /api/auth/users/{id}") == (LEGACY, IAM, IAM)
    assert answers("GET /api/products") == (LEGACY, LEGACY, NOBODY)
    assert answers("POST /oauth/v1/token") == (LEGACY, NOBODY, NOBODY)


def test_nothing_is_served_and_passed_on_at_once() -> None:
    assert not ENDPOINTS.keys() & (PASSED_ON.keys() | GIVEN_UP.keys())


def test_a_part_in_braces_is_one_part_of_a_path() -> None:
    assert pattern("a/{id}").fullmatch("a/1") and not pattern("a/{id}").fullmatch("a/1/b")
    assert pattern("a/{key:path}").fullmatch("a/1/b").groups() == ("1/b",)  # type: ignore[union-attr]


def test_what_nobody_will_answer_is_open_until_it_is_accepted_by_name(released: None) -> None:
    left = unanswered()
    assert sorted(left) == sorted(endpoint.name for endpoint in GIVEN_UP)
    GivenUp.objects.create(endpoint=left[0], by="anna", reason="unused")
    assert unanswered() == left[1:]
    assert len(unanswered(finalized=True)) == len(GIVEN_UP) + len(PASSED_ON) - 1


def test_without_a_legacy_system_to_pass_on_to_a_cut_over_takes_nothing_away(released: None, settings: Any) -> None:
    settings.LEGACY_UPSTREAM_URL = ""
    assert answers("GET /api/products") == (NOBODY, NOBODY, NOBODY)
    assert unanswered() == unanswered(finalized=True) == []


def test_the_other_profile_has_nothing_that_a_cut_over_would_lose(released: None, settings: Any) -> None:
    settings.LEGACY_CONTRACT = "documented"
    assert unanswered() == []
    assert answers("GET /api/users") == (LEGACY, IAM, IAM)
    settings.LEGACY_CONTRACT = "observed"
    assert not [each for each in standings() if each.name == "GET /api/users"]


def test_the_docs_name_every_endpoint(released: None) -> None:
    """By its path, or by that of its group and what follows."""
    text = (django_settings.BASE_DIR / "docs/legacy-endpoints.md").read_text(encoding="utf-8")
    kinds = ("products", "plans", "features", "templates", "subscriptions")
    missing = []
    for endpoint in sorted({*ENDPOINTS, *PASSED_ON, *GIVEN_UP}):
        path = endpoint.path.replace(":path", "").rstrip("/")
        parts = path.split("/")
        shortened = {"/".join(["…", *parts[at:]]) for at in range(1, len(parts))} | {
            "/".join(parts[at:]) for at in range(2, len(parts))
        }
        if not any(part in kinds for part in parts) and not any(each in text for each in {path, *shortened}):
            missing.append(endpoint.name)
    assert missing == []
