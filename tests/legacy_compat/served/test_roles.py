"""Roles, and what they give."""

from __future__ import annotations

from iam.models import Permission, Role, RolePermission, UserRole
from tests.legacy_compat.conftest import make_licence, make_tenant, make_user
from tests.legacy_compat.served.conftest import Caller, detail


def test_roles_of_the_tenant(boss: Caller, plain: Caller) -> None:
    made = boss("POST", "/api/v1/roles/", {"name": "auditor", "description": "reads"})
    body = made.json()
    assert made.status_code == 200 and list(body) == [
        "name",
        "description",
        "tenant_id",
        "id",
        "is_system",
        "created_at",
        "updated_at",
        "permissions",
    ]
    assert boss("POST", "/api/v1/roles/", {"name": "auditor"}).status_code == 400
    assert detail(plain("GET", "/api/v1/roles/")) == (403, "The user doesn't have enough privileges")
    place = f"/api/v1/roles/{body['id']}"
    assert boss("PUT", place, {"name": "checker"}).json()["name"] == "checker"
    permission = Permission.objects.get(code="users:read")
    with_one = boss("POST", f"{place}/permissions/{permission.pk}")
    assert [each["resource"] for each in with_one.json()["permissions"]] == ["users"]
    assert boss("POST", f"{place}/permissions/{permission.pk}").status_code == 400  # repeated
    given = f"/api/v1/roles/users/{plain.user.pk}/roles/{body['id']}"
    assert boss("POST", given).status_code == 200
    assert boss("POST", given).status_code == 400
    row = UserRole.objects.get(user=plain.user)
    assert row.assigned_by_id == boss.user.pk and row.expires_at is None
    seen = boss("GET", f"/api/v1/roles/users/{plain.user.pk}/permissions")
    assert seen.status_code == 200
    assert boss("DELETE", given).status_code == 200
    assert boss("DELETE", f"{place}/permissions/{permission.pk}").json()["permissions"] == []
    system = Role.default(Role.ADMIN).get()
    assert boss("DELETE", f"/api/v1/roles/{system.pk}").status_code == 400
    assert boss("DELETE", place).status_code == 200
    assert boss("GET", place).status_code == 404
    assert {each["name"] for each in boss("GET", "/api/v1/roles/").json()} == {"admin", "user"}


def test_nobody_climbs_by_the_old_doors_roles(boss: Caller, plain: Caller) -> None:
    from tests.iam.oauth.conftest import switch_on

    switch_on("rbac_enabled")
    weak = Role.objects.create(name="weak", tenant=boss.user.tenant)
    UserRole.objects.create(user=boss.user, role=weak)
    mine = Role.objects.create(name="mine", tenant=boss.user.tenant)
    permission = Permission.objects.get(code="users:write")
    assert boss("POST", f"/api/v1/roles/{mine.pk}/permissions/{permission.pk}").status_code == 403
    admin = Role.default(Role.ADMIN).get()
    assert boss("POST", f"/api/v1/roles/users/{plain.user.pk}/roles/{admin.pk}").status_code == 403
    assert not RolePermission.objects.filter(role=mine).exists()


def test_another_tenant_is_nobodys_business(boss: Caller) -> None:
    other = make_tenant()
    stranger, licence = make_user(other), make_licence(other)
    role = Role.objects.create(name="theirs", tenant=other)
    for method, path in (
        ("GET", f"/api/auth/users/{stranger.pk}"),
        ("PUT", f"/api/auth/users/{stranger.pk}"),
        ("DELETE", f"/api/auth/users/{stranger.pk}"),
        ("PATCH", f"/api/auth/v1/users/{stranger.pk}/deactivate"),
        ("GET", f"/api/tenants/{other.pk}"),
        ("PUT", f"/api/tenants/{other.pk}"),
        ("DELETE", f"/api/tenants/{other.pk}"),
        ("GET", f"/api/tenants/{other.pk}/licenses"),
        ("GET", f"/api/licenses/{licence.pk}"),
        ("PUT", f"/api/licenses/{licence.pk}"),
        ("DELETE", f"/api/licenses/{licence.pk}"),
        ("GET", f"/api/v1/roles/{role.pk}"),
        ("PUT", f"/api/v1/roles/{role.pk}"),
        ("DELETE", f"/api/v1/roles/{role.pk}"),
        ("POST", f"/api/v1/roles/users/{stranger.pk}/roles/{role.pk}"),
        ("GET", f"/api/v1/roles/users/{stranger.pk}/permissions"),
    ):
        assert boss(method, path, {} if method == "PUT" else None).status_code == 404, (method, path)
