"""Users, roles, tenants and licences through the new API: what works, who may, and that no tenant sees another's."""

from __future__ import annotations

import pytest

from flags.models import Flag
from iam.models import License, Role, User, UserRole
from tests.iam.conftest import Api, uid
from tests.legacy_compat.conftest import make_licence, make_tenant, make_user

ADMIN, USER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


def new_user(api: Api, **fields: str) -> str:
    body = {"username": uid(), "email": f"{uid()}@example.org", "password": "a longer password"} | fields
    answer = api.call("POST", "/users", **body)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def test_a_user_is_made_with_the_role_user_read_changed_and_switched_off(api: Api) -> None:
    made = new_user(api, full_name="Ann Lee")
    assert api.call("GET", f"/users/{made}/roles").json() == {"roles": ["user"]}
    assert api.call("PATCH", f"/users/{made}", full_name="Ann Li").json()["full_name"] == "Ann Li"
    assert api.call("DELETE", f"/users/{made}").status_code == 204
    assert api.call("GET", f"/users/{made}").json()["is_active"] is False
    user = User.objects.get(pk=made)
    assert api.login(user, password="a longer password").status_code == 401


def test_switching_a_user_off_ends_its_sessions(api: Api) -> None:
    made = new_user(api)
    theirs = api.login(User.objects.get(pk=made), password="a longer password").json()["access_token"]
    api.call("DELETE", f"/users/{made}")
    assert api.call("GET", "/me", theirs).status_code == 401


def test_lists_come_in_pages_and_can_be_searched(api: Api) -> None:
    for n in range(4):
        make_user(api.tenant, full_name=f"Needle {n}")
    found = api.call("GET", "/users?page=2&size=3&search=needle").json()
    assert (found["total"], found["pages"], len(found["items"])) == (4, 2, 1)


@pytest.mark.parametrize("query", ["page=0", "size=201", "page=x"])
def test_a_page_that_cannot_be_is_a_problem(api: Api, query: str) -> None:
    answer = api.call("GET", f"/users?{query}")
    assert answer.status_code == 422 and answer["Content-Type"] == "application/problem+json"


def test_a_taken_name_is_a_conflict(api: Api) -> None:
    answer = api.call(
        "POST", "/users", username=api.admin.username, email="x@example.org", password="a longer password"
    )
    assert answer.status_code == 409


def test_a_value_no_text_has_is_a_problem_and_no_fault_of_ours(api: Api) -> None:
    answer = api.call("POST", "/users", username="a\0b", email="x@example.org", password="a longer password")
    assert answer.status_code == 422


def test_no_endpoint_shows_or_changes_another_tenants_objects(api: Api) -> None:
    other = make_tenant()
    user, licence = make_user(other), make_licence(other)
    role = Role.objects.create(name="theirs", tenant=other)
    calls = [
        ("GET", f"/users/{user.pk}", {}), ("PATCH", f"/users/{user.pk}", {"full_name": "mine"}),
        ("DELETE", f"/users/{user.pk}", {}), ("GET", f"/users/{user.pk}/roles", {}),
        ("PUT", f"/users/{user.pk}/roles", {"roles": ["admin"]}), ("GET", f"/tenants/{other.pk}", {}),
        ("PATCH", f"/tenants/{other.pk}", {"name": "mine"}), ("PUT", f"/roles/{role.pk}", {"name": "mine"}),
        ("DELETE", f"/roles/{role.pk}", {}), ("GET", f"/licenses/{licence.pk}", {}),
        ("DELETE", f"/licenses/{licence.pk}", {}),
    ]  # fmt: skip
    assert {api.call(method, path, **body).status_code for method, path, body in calls} == {404}
    for path in ("/users", "/tenants", "/roles", "/licenses"):
        listed = api.call("GET", f"{path}?size=200").content.decode()
        assert not any(str(thing.pk) in listed for thing in (user, licence, role, other))


def test_without_a_token_nothing_is_answered_but_sign_in_and_licence_checks(api: Api) -> None:
    for path in ("/me", "/users", "/tenants", "/roles", "/licenses"):
        answer = api.call("GET", path, "")
        assert answer.status_code == 401 and answer["WWW-Authenticate"].startswith("Bearer")


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


def test_roles_of_the_system_stay_as_they_are(api: Api) -> None:
    assert api.call("PUT", f"/roles/{USER}", name="user", permissions=[]).status_code == 409
    assert api.call("DELETE", f"/roles/{USER}").status_code == 409


def test_a_role_somebody_has_is_not_deleted(api: Api) -> None:
    role = api.call("POST", "/roles", name="reader", permissions=["users:read"]).json()
    made = new_user(api)
    assert api.call("PUT", f"/users/{made}/roles", roles=["user", "reader"]).json() == {"roles": ["reader", "user"]}
    assert api.call("DELETE", f"/roles/{role['id']}").status_code == 409
    api.call("PUT", f"/users/{made}/roles", roles=["user"])
    assert api.call("DELETE", f"/roles/{role['id']}").status_code == 204


def test_licences_are_issued_up_to_the_limit_judged_and_revoked(api: Api) -> None:
    api.tenant.max_licenses = 1
    api.tenant.save()
    made = api.call("POST", "/licenses", validity_days=30).json()
    assert api.call("POST", "/licenses", validity_days=30).status_code == 409
    verdict = api.call("POST", "/licenses/validate", "", license_key=made["license_key"]).json()
    assert verdict["valid"] and verdict["license"]["id"] == made["id"]
    assert api.call("DELETE", f"/licenses/{made['id']}").status_code == 204
    assert not License.objects.exists()
    gone = api.call("POST", "/licenses/validate", "", license_key=made["license_key"]).json()
    assert (gone["valid"], gone["reason"]) == (False, "unknown")
