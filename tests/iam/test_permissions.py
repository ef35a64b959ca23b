"""What a user may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from flags.evaluate import definitions
from flags.models import Flag
from iam.models import Permission, Role, User, UserRole
from iam.permissions import allowed, roles
from tests.iam.conftest import Api, uid
from tests.iam.objects import ADMIN
from tests.legacy_compat.conftest import make_user
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def test_before_rbac_a_superuser_may_everything_and_others_only_their_profile(api: Api) -> None:
    plain = api.login(make_user(api.tenant)).json()
    assert plain["permissions"] == ["profile:read", "profile:write"]
    assert api.call("GET", "/users", plain["access_token"]).status_code == 403


def test_with_rbac_roles_decide_and_being_a_superuser_does_not(api: Api) -> None:
    reader = make_user(api.tenant)
    role = Role.objects.create(name="reader", tenant=api.tenant)
    UserRole.objects.create(user=reader, role=role)
    UserRole.objects.create(user=api.admin, role_id=ADMIN)
    switched_on(api)
    theirs = api.login(reader).json()["access_token"]
    assert api.call("GET", "/users", theirs).status_code == 403
    assert api.call("PUT", f"/roles/{role.pk}", name="reader", permissions=["users:read"]).status_code == 200
    assert api.call("GET", "/users", theirs).status_code == 200
    assert api.call("DELETE", f"/users/{api.admin.pk}", theirs).status_code == 403


def test_nobody_grants_what_they_do_not_have(api: Api) -> None:
    assert api.call("POST", "/roles", name="god", permissions=["everything:write"]).status_code == 403
    assert not Role.objects.filter(name="god").exists()


def switched_on(api: Api) -> None:
    Flag.objects.filter(name="database_migration_complete").update(met=True)
    Flag.objects.filter(name="rbac_enabled").update(targets=[f"tenant:{api.tenant.pk}"])
    definitions(fresh=True)


def with_role(api: Api, *permissions: str, **values: Any) -> User:
    """A user who may do this and nothing else."""
    made = make_user(api.tenant)
    role = Role.objects.create(name=uid(), tenant=api.tenant)
    role.permissions.set(Permission.objects.filter(name__in=permissions))
    UserRole.objects.create(user=made, role=role, **values)
    return made


def test_a_role_that_has_expired_does_not_count(api: Api) -> None:
    switched_on(api)
    hour = timedelta(hours=1)
    past = with_role(api, "users:read", expires_at=timezone.now() - hour)
    coming = with_role(api, "users:read", expires_at=timezone.now() + hour)
    assert (allowed(past), roles(past)) == (frozenset(), [])
    assert allowed(coming) == {"users:read"} and len(roles(coming)) == 1


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/users/{user}/roles", "roles:read"), ("GET", "/roles", "roles:read"), ("GET", "/users", "users:read"),
        ("GET", "/users/{user}", "users:read"),
    ],
)  # fmt: skip
def test_each_list_needs_its_own_permission(api: Api, method: str, path: str, permission: str) -> None:
    switched_on(api)
    others = {"users:read", "users:write", "roles:read", "roles:write", "licenses:read"} - {permission}
    place = path.format(user=api.admin.pk)
    without = api.login(with_role(api, *others)).json()["access_token"]
    having = api.login(with_role(api, permission)).json()["access_token"]
    assert api.call(method, place, without).status_code == 403
    assert api.call(method, place, having).status_code == 200
