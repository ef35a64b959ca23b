"""Roles of a tenant."""

from __future__ import annotations

from tests.iam.conftest import Api
from tests.iam.objects import USER, new_user


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
