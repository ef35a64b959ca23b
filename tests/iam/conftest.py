"""A tenant at home in the IAM, its administrator, and a client of the new API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from iam import keys, passwords
from iam.models import Tenant, User
from tests.legacy_compat.conftest import (
    PASSWORD,
    make_tenant,
    make_user,
    old,  # noqa: F401 - for what old clients do to the IAM's users
)
from tests.world import World


@dataclass
class Api:
    client: Client
    tenant: Tenant
    admin: User
    token: str = ""

    def call(self, method: str, path: str, token: str | None = None, **body: Any) -> Any:
        sent = self.token if token is None else token
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        data = json.dumps(body) if body else ""
        return self.client.generic(method, f"/api/v1{path}", data, "application/json", headers=headers)

    def login(self, user: User | None = None, **fields: Any) -> Any:
        name = (user or self.admin).username
        return self.call("POST", "/auth/login", "", **({"username": name, "password": PASSWORD} | fields))


@pytest.fixture
def api(world: World, settings: Any) -> Api:
    settings.AUTH_CALLS_A_MINUTE = 0
    settings.LEGACY_JWT_SECRET = "a secret that both systems know, long enough for HS256"
    keys.forget()
    tenant = make_tenant()
    made = Api(Client(), tenant, make_user(tenant, is_superuser=True))
    made.token = made.login().json()["access_token"]
    return made


def uid() -> str:
    return uuid.uuid4().hex[:10]


@pytest.fixture
def real_cost(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passwords cost what they cost in production."""
    _forget()
    settings.BCRYPT_COST = 12
    monkeypatch.setattr(passwords._Argon2id, "memory_cost", 19 * 1024)
    monkeypatch.setattr(passwords._Argon2id, "time_cost", 2)
    yield
    _forget()


def _forget() -> None:
    for made_once in (passwords._ours, passwords._decoy, passwords._decoy_argon2):
        made_once.cache_clear()
