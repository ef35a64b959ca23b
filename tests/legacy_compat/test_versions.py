"""Versions, and what clients of the old one are told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.legacy_compat.conftest import Old


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {"Accept": "application/vnd.sigma.v2.0+json"}},
        {"headers": {"Accept": "text/html, application/json; version=v2.0"}},
        {"query_params": {"version": "2.0"}},
    ],
)
def test_a_legacy_path_with_the_new_version_is_answered_by_the_new_api(old: Old, asked: dict[str, Any]) -> None:
    token = old.login().json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"} | asked.get("headers", {})
    answer = old.client.get("/api/auth/me", headers=headers, query_params=asked.get("query_params"))
    assert answer.status_code == 200 and "mfa_enabled" in answer.json()
    assert "Deprecation" not in answer


@pytest.mark.parametrize(
    "accept", ["application/json; note=not-v2.0-at-all", "application/vnd.sigma.v2.01+json", "v2.0"]
)
def test_versions_are_compared_exactly(old: Old, accept: str) -> None:
    token = old.login().json()["access_token"]
    answer = old.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}", "Accept": accept})
    assert "mfa_enabled" not in answer.json()


def test_clients_of_the_old_version_are_told_when_it_ends_and_what_follows(old: Old, settings: Any) -> None:
    settings.LEGACY_SUNSET = "2027-06-30"
    answer = old.login()
    assert answer["Deprecation"] == "@1767139200"
    assert answer["Sunset"] == "Wed, 30 Jun 2027 00:00:00 GMT"
    assert answer["Link"].endswith('/api/v1/auth/login>; rel="successor-version"')
