"""Closed doors: writes are answered with the contract's 503 by every door, reads go on, and no system is said to fail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from flags import maintenance
from flags.models import Maintenance
from legacy_compat import histograms, record
from legacy_compat.models import LegacyRequest
from migration_portal.rollback import doors
from tests.legacy_compat.conftest import Old, make_licence
from tests.legacy_compat.upstream import Upstream


@pytest.fixture
def token(old: Old) -> str:
    """Won before the doors were closed."""
    found: str = old.login().json()["access_token"]
    doors.close_doors(by="ada", reason="a roll-back")
    return found


@pytest.mark.parametrize("contract", ["documented", "observed"])
def test_an_old_client_is_asked_to_come_again(old: Old, token: str, settings: Any, contract: str) -> None:
    settings.LEGACY_CONTRACT = contract
    answer = old.login()
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert answer.json() == {"detail": "Service temporarily unavailable"}
    assert old.get("/api/auth/me", token).status_code == 200
    assert (
        old.client.get("/api/licenses/validate", {"license_key": make_licence(old.tenant).license_key}).status_code
        == 200
    )


def test_what_lives_in_legacy_is_closed_as_well(old: Old, token: str, upstream: Upstream) -> None:
    assert old.post("/api/auth/register", username="x").status_code == 503 and upstream.seen == []
    assert old.get("/api/auth/me").status_code == 207


def test_the_new_doors_answer_in_their_own_words(old: Old, token: str) -> None:
    client = Client()
    problem = client.post("/api/v1/auth/login", {"username": "x"}, content_type="application/json")
    assert (problem.status_code, problem["Retry-After"]) == (503, "30")
    assert problem.json()["type"] == "urn:sigma-transit:problem:maintenance"
    refused = client.post("/oauth/token", {"grant_type": "client_credentials"})
    assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
    for path in ("/api/v1/roles", "/api/v1/sessions/x"):  # both systems have these addresses
        assert client.post(path, {}, content_type="application/json").status_code in (404, 503), path
    validated = client.post("/api/v1/licenses/validate", {"license_key": "unknown"}, content_type="application/json")
    assert validated.json()["reason"] == "unknown"
    assert client.get("/.well-known/jwks.json").status_code == 200


def test_a_browsers_client_sees_the_503_and_no_network_error(old: Old, token: str) -> None:
    answer = old.client.post("/api/auth/login", {"username": "x"}, headers={"Origin": "https://app.example.org"})
    assert answer.status_code == 503 and answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/social/acme/", "/oauth/social/acme/callback"])
def test_what_a_browser_gets_and_a_session_comes_of_is_closed_as_well(old: Old, token: str, path: str) -> None:
    assert Client().get(path).status_code == 503


def test_the_console_and_the_probes_stay_open(old: Old, token: str) -> None:
    assert Client().get("/health/live").status_code == 200
    assert Client().post("/admin/login/", {"username": "x", "password": "y"}).status_code == 200


@pytest.mark.parametrize(("minutes", "seconds"), [(10, 600), (0, 5), (600, 3600)])
def test_clients_are_told_when_it_is_expected_to_end(old: Old, minutes: int, seconds: int) -> None:
    until = timezone.now() + timedelta(minutes=minutes)
    Maintenance.objects.create(by="ada", reason="x", expected_until=until)
    maintenance.forget()
    assert abs(int(old.login()["Retry-After"]) - seconds) <= 1


def test_opened_again_everything_is_answered(old: Old, token: str) -> None:
    doors.open_doors(by="ada")
    assert old.login().status_code == 200


def test_it_counts_as_a_failure_of_neither_system(old: Old, token: str) -> None:
    old.login()
    Client().post("/api/v1/auth/login", {"username": "x"}, content_type="application/json")
    for background in (record.background, histograms.background):
        background.join()
    assert LegacyRequest.objects.get(status=503).home == "closed"
    counted = histograms.totals()
    assert not any(what == "failed" and home != "closed" for home, _, what in counted)


def test_a_database_that_is_away_opens_no_door(old: Old, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old.login()
    monkeypatch.setattr(maintenance, "SECONDS", -1.0)
    monkeypatch.setattr(maintenance, "current", _away)
    assert old.login().status_code == 503


def _away() -> None:
    from django.db import OperationalError

    raise OperationalError("away")
