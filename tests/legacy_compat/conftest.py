"""A tenant at home in the IAM with a user, and a client of the legacy endpoints."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bcrypt
import pytest
from django.test import Client
from django.utils import timezone

from flags.models import TenantHome
from iam.models import License, Tenant, User
from legacy_compat import proxy, record, shadow
from tests.legacy_compat.upstream import Upstream
from tests.world import World

PASSWORD = "correct horse"
QUICK_HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@dataclass
class Old:
    """An old client, and whom it may sign in as."""

    client: Client
    tenant: Tenant
    user: User

    def login(self, **fields: Any) -> Any:
        data = {"username": self.user.username, "password": PASSWORD} | fields
        return self.client.post("/api/auth/login", data)

    def get(self, path: str, token: str = "", **query: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.get(path, query, headers=headers)

    def post(self, path: str, token: str = "", **data: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.post(path, data, headers=headers)


def make_tenant(home: str = "iam", **values: Any) -> Tenant:
    tenant = Tenant.objects.create(**({"name": "Acme", "slug": uuid.uuid4().hex, "is_active": True} | values))
    TenantHome.objects.create(tenant=str(tenant.pk), legacy_tenant=str(tenant.pk), home=home)
    return tenant


def make_user(tenant: Tenant, **values: Any) -> User:
    name = uuid.uuid4().hex[:10]
    row = {"username": name, "email": f"{name}@example.org", "full_name": "O'Brien", "hashed_password": QUICK_HASH}
    return User.objects.create(tenant=tenant, **(row | values))


def make_licence(tenant: Tenant, **values: Any) -> License:
    return License.objects.create(
        tenant=tenant, **({"license_key": uuid.uuid4().hex, "issued_at": timezone.now()} | values)
    )


@pytest.fixture
def old(world: World, settings: Any) -> Iterator[Old]:
    settings.AUTH_CALLS_A_MINUTE = settings.OTHER_CALLS_A_MINUTE = 0
    settings.LEGACY_JWT_SECRET = "a secret that both systems know, long enough for HS256"
    proxy._succeeded()
    tenant = make_tenant()
    for background in (record.background, shadow.background):
        background.pause = 0.01
    yield Old(Client(), tenant, make_user(tenant, is_superuser=True))
    for background in (record.background, shadow.background):
        background.join()  # into this test's database, and not the next one's


@pytest.fixture
def upstream(old: Old, settings: Any) -> Iterator[Upstream]:
    made = Upstream()
    settings.LEGACY_UPSTREAM_URL, settings.LEGACY_UPSTREAM_SECONDS = made.url, 0.5
    yield made
    made.server.shutdown()
    proxy._succeeded()
