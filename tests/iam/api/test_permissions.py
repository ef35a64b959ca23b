"""Every operation of the new API, and the one permission that it asks for: roles against resources, whole."""

from __future__ import annotations

from typing import Any

import pytest

from iam.models import InAppNotice, Permission, Role, RolePermission, User, UserRole
from tests.iam.api.test_powers import rbac as rbac
from tests.iam.api.test_powers import token
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import make_licence, make_user
from tests.world import World

NEEDS: dict[tuple[str, str], str] = {
    ("GET", "/me"): "profile:read", ("PATCH", "/me"): "profile:write", ("POST", "/me/password"): "profile:write",
    ("GET", "/notices"): "profile:read", ("POST", "/notices/{notice_id}/read"): "profile:read",
    ("GET", "/users"): "users:read", ("POST", "/users"): "users:write", ("GET", "/users/{user}"): "users:read",
    ("PATCH", "/users/{user}"): "users:write", ("DELETE", "/users/{user}/mfa"): "users:write",
    ("DELETE", "/users/{user}"): "users:write", ("GET", "/users/{user}/roles"): "roles:read",
    ("PUT", "/users/{user}/roles"): "roles:write", ("GET", "/tenants"): "tenants:read",
    ("GET", "/tenants/{tenant}"): "tenants:read", ("PATCH", "/tenants/{tenant}"): "tenants:write",
    ("GET", "/roles"): "roles:read", ("POST", "/roles"): "roles:write", ("PUT", "/roles/{role}"): "roles:write",
    ("DELETE", "/roles/{role}"): "roles:write", ("GET", "/licenses"): "licenses:read",
    ("POST", "/licenses"): "licenses:write", ("GET", "/licenses/{licence}"): "licenses:read",
    ("DELETE", "/licenses/{licence}"): "licenses:write",
}  # fmt: skip
OPEN = {
    ("POST", "/auth/login"), ("POST", "/auth/refresh"), ("POST", "/auth/logout"), ("POST", "/licenses/validate"),
    ("POST", "/me/mfa"), ("POST", "/me/mfa/confirm"),
}  # fmt: skip
"""For everybody, or for everybody who is signed in."""
BODIES: dict[str, dict[str, Any]] = {
    "/me": {"bio": "x"}, "/users": {"username": "n", "email": "n@example.org", "password": "a longer password"},
    "/users/{user}": {"full_name": "X"}, "/users/{user}/roles": {"roles": []}, "/tenants/{tenant}": {"name": "X"},
    "/roles": {"name": "r", "permissions": []}, "/roles/{role}": {"name": "r", "permissions": []},
    "/licenses": {"validity_days": 30},
    "/me/password": {"current_password": "no", "new_password": "a longer password"},
}  # fmt: skip


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def holder(api: Api, permissions: set[str]) -> User:
    role = Role.objects.create(name="these", tenant=api.tenant)
    for permission in Permission.objects.filter(name__in=permissions):
        RolePermission.objects.create(role=role, permission=permission)
    user = make_user(api.tenant)
    UserRole.objects.create(user=user, role=role)
    return user


def asked(api: Api, method: str, path: str, mine: str) -> Any:
    there = {
        "user": make_user(api.tenant).pk, "tenant": api.tenant.pk, "licence": make_licence(api.tenant).pk,
        "role": Role.objects.create(name="empty", tenant=api.tenant).pk,
        "notice_id": InAppNotice.objects.create(kind="announcement", subject={"en": "x"}, body={"en": "x"}).pk,
    }  # fmt: skip
    body = BODIES.get(path, {}) if method in ("POST", "PUT", "PATCH") else {}
    return api.call(method, path.format(**there), mine, **body)


def test_the_table_has_every_operation(api: Api) -> None:
    document = api.client.get("/api/v1/openapi.json").json()
    names = {"user_id": "user", "tenant_id": "tenant", "licence_id": "licence", "role_id": "role"}
    there = set()
    for path, operations in document["paths"].items():
        short = path.removeprefix("/api/v1")
        for long, name in names.items():
            short = short.replace(long, name)
        there |= {(method.upper(), short) for method in operations}
    assert there == set(NEEDS) | OPEN


@pytest.mark.parametrize(("method", "path"), NEEDS)
def test_an_operation_is_refused_to_who_has_all_but_its_permission(rbac: Api, method: str, path: str) -> None:
    everything = set(Permission.objects.values_list("name", flat=True))
    mine = token(rbac, holder(rbac, everything - {NEEDS[method, path]}))
    answer = asked(rbac, method, path, mine)
    assert answer.status_code == 403 and NEEDS[method, path] in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), NEEDS)
def test_an_operation_is_open_to_who_has_its_permission_alone(rbac: Api, method: str, path: str) -> None:
    profile = {"profile:read", "profile:write"} if (method, path) == ("POST", "/users") else set()
    mine = token(rbac, holder(rbac, {NEEDS[method, path]} | profile))
    answer = asked(rbac, method, path, mine)
    assert answer.status_code in ((400,) if path == "/me/password" else (200, 201, 204)), answer.content
