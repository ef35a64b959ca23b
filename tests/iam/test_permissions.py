"""What a user may."""

from __future__ import annotations

import pytest

from flags.models import Flag
from iam.models import Role, UserRole
from tests.iam.conftest import Api
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
    Flag.objects.filter(name="database_migration_complete").update(met=True)
    Flag.objects.filter(name="rbac_enabled").update(targets=[f"tenant:{api.tenant.pk}"])
    reader = make_user(api.tenant)
    role = Role.objects.create(name="reader", tenant=api.tenant)
    UserRole.objects.create(user=reader, role=role)
    UserRole.objects.create(user=api.admin, role_id=ADMIN)
    from flags.evaluate import definitions

    definitions(fresh=True)
    theirs = api.login(reader).json()["access_token"]
    assert api.call("GET", "/users", theirs).status_code == 403
    assert api.call("PUT", f"/roles/{role.pk}", name="reader", permissions=["users:read"]).status_code == 200
    assert api.call("GET", "/users", theirs).status_code == 200
    assert api.call("DELETE", f"/users/{api.admin.pk}", theirs).status_code == 403


def test_nobody_grants_what_they_do_not_have(api: Api) -> None:
    assert api.call("POST", "/roles", name="god", permissions=["everything:write"]).status_code == 403
    assert not Role.objects.filter(name="god").exists()
