"""Whom a token is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from iam import bearers, forms
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import PASSWORD


def test_a_token_that_lost_its_tenant_is_its_users(api: Api) -> None:
    pair = api.client.post("/api/auth/login", {"username": api.admin.username, "password": PASSWORD}).json()
    claims = dict(bearers.decode(pair["access_token"], kind="access"))
    claims.pop("tenant_id")
    assert bearers.about(forms.signed_as_legacy(claims, timedelta(minutes=1))).tenant == str(api.tenant.pk)


def test_a_token_of_whole_seconds_was_issued_before_the_moment_it_is_taken_for() -> None:
    now = datetime.now(UTC)
    claims = {"exp": int((now + bearers.LEGACY_ACCESS).timestamp())}
    assert timedelta(0) <= bearers.issued(claims) - now <= timedelta(seconds=1)
