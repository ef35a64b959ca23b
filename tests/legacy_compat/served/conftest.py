"""Clients of the released service whose tenant has moved, and what they are used to: see the facts in docs/legacy-endpoints.md."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.test import Client

from iam.models import Tenant, User
from tests.legacy_compat.conftest import PASSWORD, Old, make_user
from tests.world import World

U = [
    "tenant_id", "email", "username", "full_name", "is_active", "is_superuser", "is_verified", "oauth_provider", "oauth_id",
    "sso_provider", "sso_id", "avatar_url", "bio", "phone_number", "id", "created_at", "updated_at", "last_login",
]  # fmt: skip
T = ["name", "slug", "is_active", "max_licenses", "id", "created_at"]
L = [
    "id", "license_key", "tenant_id", "tenant_name", "template_id", "linked_subscription", "issued_at", "validity_days", "payload",
]  # fmt: skip
PAGE = ["items", "total", "page", "size", "pages"]
NEW = "another long phrase"


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


class Caller:
    """A client of the released service, signed in as somebody."""

    def __init__(self, user: User) -> None:
        self.client, self.user = Client(), user
        pair = self.client.post("/api/auth/login", credentials(user)).json()
        self.token, self.refresh = pair["access_token"], pair["refresh_token"]

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}"} | headers
        kind = {"content_type": "application/json"} if body is not None else {}
        return self.client.generic(method, path, content, headers=headers, **kind)

    def form(self, method: str, path: str, **fields: str) -> Any:
        return getattr(self.client, method)(path, fields, headers={"Authorization": f"Bearer {self.token}"})


def credentials(user: User, password: str = PASSWORD) -> dict[str, str]:
    both = base64.b64encode(f"{user.username}:{password}".encode()).decode()
    return {"credentials": both, "tenant_id": str(user.tenant_id)}


@pytest.fixture
def boss(old: Old, settings: Any) -> Caller:
    settings.LEGACY_CONTRACT = "observed"
    User.objects.filter(pk=old.user.pk).update(username="boss", is_superuser=True)
    Tenant.objects.filter(pk=old.tenant.pk).update(max_licenses=3, slug="acme")
    return Caller(User.objects.get(pk=old.user.pk))


@pytest.fixture
def plain(boss: Caller) -> Caller:
    return Caller(make_user(boss.user.tenant, username="plain"))


def detail(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()["detail"]


def kinds(answer: Any) -> list[tuple[str, list[Any]]]:
    assert answer.status_code == 422
    return [(each["type"], each["loc"]) for each in answer.json()["detail"]]
