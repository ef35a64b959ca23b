"""What an odd request is parsed into."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.legacy_compat.calls import tokens
from tests.legacy_compat.conftest import PASSWORD, Old
from tests.legacy_compat.upstream import Upstream
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 100_000, "\u202e'; --", ""])
def test_odd_text_is_answered_in_the_contracts_words(old: Old, odd: str) -> None:
    token = tokens(old)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def post(path: str, **fields: str) -> int:
        return old.client.post(f"/api/{path}", json.dumps(fields), "application/json", headers=headers).status_code

    assert post("auth/login", username=odd, password=odd) in (401, 422)
    assert post("auth/login", username=old.user.username or "", password=odd, tenant_id=odd) in (401, 422)
    assert post("auth/refresh", refresh_token=odd) in (401, 422)
    assert post("licenses/validate", license_key=odd) in (200, 422)
    assert post("tenants", name=odd, slug=odd) in (201, 400, 422)
    assert post("auth/change-password", current_password=odd, new_password="x") in (400, 422)
    assert post("auth/change-password", current_password=PASSWORD, new_password=odd) in (400, 422)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", "[" * 100_000),
        ("application/x-www-form-urlencoded", "&".join(f"f{n}=1" for n in range(1_500))),
        ("multipart/form-data; boundary=x", "--x\r\nnothing"),
    ],
)
@pytest.mark.parametrize("token", ["", "another-systems-token"])
def test_a_body_that_nobody_can_parse_is_passed_on_as_it_is(
    old: Old, upstream: Upstream, settings: Any, content_type: str, body: str, token: str
) -> None:
    settings.LEGACY_SERVED_BY = "legacy"
    upstream.say(200, {"ok": True})
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for method, path in (("POST", "auth/login"), ("PUT", "anything"), ("POST", "licenses/validate")):
        assert old.client.generic(method, f"/api/{path}", body, content_type, headers=headers).status_code == 200
