"""Nobody grants, removes or touches what exceeds their own permissions: every pair of roles."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from flags.evaluate import definitions
from flags.models import Flag
from iam.models import Permission, Role, RolePermission, User, UserRole
from iam.permissions import powers
from tests.iam.conftest import Api
from tests.iam.objects import ADMIN, USER
from tests.legacy_compat.conftest import make_user
from tests.world import World

KINDS: dict[str, tuple[str, ...]] = {
    "plain": ("profile:read", "profile:write"),
    "reader": ("users:read", "roles:read"),
    "user manager": ("users:read", "users:write", "profile:read", "profile:write"),
    "role manager": ("roles:read", "roles:write", "profile:read", "profile:write"),
    "people manager": ("users:read", "users:write", "roles:read", "roles:write", "profile:read", "profile:write"),
    "admin": (),
    "superuser": (),
}
PAIRS = list(itertools.product(KINDS, KINDS))


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.fixture
def rbac(api: Api) -> Api:
    Flag.objects.filter(derived=True).update(met=True)
    Flag.objects.filter(name="rbac_enabled").update(percentage=100)
    definitions(fresh=True)
    return api


def role(api: Api, kind: str) -> Role:
    if kind in ("admin", "superuser"):
        return Role.objects.get(pk=ADMIN)
    made, new = Role.objects.get_or_create(name=kind, tenant=api.tenant)
    if new:
        for permission in Permission.objects.filter(name__in=KINDS[kind]):
            RolePermission.objects.create(role=made, permission=permission)
    return made


def somebody(api: Api, kind: str) -> User:
    user = make_user(api.tenant, is_superuser=kind == "superuser")
    UserRole.objects.create(user=user, role=role(api, kind))
    return user


def token(api: Api, user: User) -> str:
    return str(api.login(user).json()["access_token"])


def touches(api: Api, mine: str, target: User) -> dict[str, int]:
    """Status of every way to touch another user."""
    path = f"/users/{target.pk}"
    return {
        "rename": api.call("PATCH", path, mine, full_name="X").status_code,
        "second factor": api.call("DELETE", f"{path}/mfa", mine).status_code,
        "password": api.call("PATCH", path, mine, password="a longer password").status_code,
        "off": api.call("DELETE", path, mine).status_code,
        "strip": api.call("PUT", f"{path}/roles", mine, roles=["user"]).status_code,
    }


@pytest.mark.parametrize(("actor", "target"), PAIRS)
def test_who_may_touch_whom(rbac: Api, actor: str, target: str) -> None:
    me, other = somebody(rbac, actor), somebody(rbac, target)
    within, mine = powers(other) <= powers(me), powers(me)
    expected = {
        way: within and needs in mine
        for way, needs in (
            ("rename", "users:write"), ("second factor", "users:write"), ("password", "users:write"),
            ("off", "users:write"), ("strip", "roles:write"),
        )
    }  # fmt: skip
    got = touches(rbac, token(rbac, me), other)
    assert {way: status < 300 for way, status in got.items()} == expected, got


@pytest.mark.parametrize(("actor", "wanted"), [(a, w) for a, w in PAIRS if w != "superuser"])
def test_who_may_give_what(rbac: Api, actor: str, wanted: str) -> None:
    me, other = somebody(rbac, actor), make_user(rbac.tenant)
    given = role(rbac, wanted)
    answer = rbac.call("PUT", f"/users/{other.pk}/roles", token(rbac, me), roles=[given.name])
    permissions = set(given.permissions.values_list("name", flat=True))
    may = "roles:write" in powers(me) and permissions <= powers(me)
    assert (answer.status_code < 300) == may, answer.content
    assert UserRole.objects.filter(user=other, role=given).exists() == may


@pytest.mark.parametrize(("actor", "wanted"), [(a, w) for a, w in PAIRS if w not in ("superuser", "admin")])
def test_who_may_change_or_delete_which_role(rbac: Api, actor: str, wanted: str) -> None:
    me, changed = somebody(rbac, actor), role(rbac, wanted)
    UserRole.objects.filter(role=changed).exclude(user=me).delete()
    mine, may = token(rbac, me), "roles:write" in powers(me) and set(KINDS[wanted]) <= powers(me)
    body: dict[str, Any] = {"name": changed.name, "permissions": []}
    if wanted != actor:  # one's own role would take the permission away
        assert (rbac.call("PUT", f"/roles/{changed.pk}", mine, **body).status_code < 300) == may
        assert (rbac.call("DELETE", f"/roles/{changed.pk}", mine).status_code < 300) == (may or (not may and False))


def test_a_client_that_acts_for_somebody_gives_no_more_than_its_scopes(rbac: Api) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from iam.models import SystemCapability
    from iam.oauth.models import AccessToken, digest
    from tests.iam.oauth.conftest import make_client, switch_on

    switch_on("oauth2_enabled")
    SystemCapability.objects.filter(pk="allowed_scope_namespaces").update(default_value={"value": ["roles"]})
    client, _ = make_client(rbac.tenant)
    boss, other = somebody(rbac, "admin"), make_user(rbac.tenant)
    ends = timezone.now() + timedelta(minutes=5)
    AccessToken.objects.create(
        token=digest("for-the-boss"), client=client, user=boss, scope="roles:write", expires_at=ends
    )
    answer = rbac.call("PUT", f"/users/{other.pk}/roles", "for-the-boss", roles=["admin"])
    assert answer.status_code == 403 and answer.json()["type"].endswith("exceeds-yours")


@pytest.mark.parametrize("name", ["admin", "Admin", " user "])
def test_no_role_of_a_tenant_is_named_like_the_systems(api: Api, name: str) -> None:
    assert api.call("POST", "/roles", name=name, permissions=[]).status_code == 409
    made = api.call("POST", "/roles", name="helper", permissions=[]).json()["id"]
    assert api.call("PUT", f"/roles/{made}", name=name, permissions=[]).status_code == 409


def test_a_role_of_another_tenant_cannot_be_given(api: Api) -> None:
    from tests.legacy_compat.conftest import make_tenant

    Role.objects.create(name="theirs", tenant=make_tenant())
    answer = api.call("PUT", f"/users/{make_user(api.tenant).pk}/roles", roles=["theirs"])
    assert answer.status_code == 422 and answer.json()["type"].endswith("unknown-role")


def test_the_role_user_is_what_a_new_user_has(api: Api) -> None:
    made = api.call("POST", "/users", username="new", email="new@example.org", password="a longer password").json()
    assert list(UserRole.objects.filter(user_id=made["id"]).values_list("role_id", flat=True)) == [
        Role.objects.get(pk=USER).pk
    ]
