"""Users, roles, tenants and licences through the new API: what works, who may, and that no tenant sees another's."""

from __future__ import annotations

from iam.models import User
from tests.iam.conftest import Api
from tests.iam.objects import new_user
from tests.legacy_compat.conftest import make_user


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


def test_a_new_password_for_somebody_ends_their_sessions(api: Api) -> None:
    user = make_user(api.tenant)
    token = api.login(user).json()["access_token"]
    assert api.call("PATCH", f"/users/{user.pk}", password="a longer password").status_code == 200
    assert api.call("GET", "/me", token).status_code == 401
