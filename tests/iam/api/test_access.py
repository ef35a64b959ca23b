"""Who is let in, and where."""

from __future__ import annotations

from typing import Any

from iam.models import Role, Session, User
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import PASSWORD, make_licence, make_tenant, make_user


def test_a_tenant_that_lives_in_legacy_is_sent_to_the_legacy_endpoints(api: Api, settings: Any) -> None:
    settings.LEGACY_UPSTREAM_URL = "http://127.0.0.1:1"
    elsewhere = make_user(make_tenant(home="legacy"))
    answer = api.login(elsewhere)
    assert answer.status_code == 409 and answer.json()["type"].endswith("tenant-not-moved")
    assert not Session.objects.filter(user=elsewhere).exists()


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


def test_signing_in_writes_nothing_for_a_tenant_that_lives_in_legacy(api: Api, settings: Any) -> None:
    settings.LEGACY_UPSTREAM_URL = "http://127.0.0.1:1"
    user = make_user(make_tenant(home="legacy"))
    assert api.login(user).status_code == 409
    page = api.client.post("/oauth/sign-in", {"username": user.username, "password": PASSWORD})
    assert page.status_code == 409 and b"has not moved here yet" in page.content
    assert User.objects.get(pk=user.pk).last_login is None
