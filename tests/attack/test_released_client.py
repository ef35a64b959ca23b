"""What a hostile client of the released service tried, and what an odd one met."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest

from iam.models import License, Permission, Role, RolePermission, Subscription, Tenant, User, UserRole
from iam.oauth.models import OAuthClient
from legacy_compat import passing
from tests.iam.oauth.conftest import switch_on
from tests.legacy_compat.conftest import make_licence, make_tenant, make_user
from tests.legacy_compat.conftest import old as old
from tests.legacy_compat.conftest import upstream as upstream
from tests.legacy_compat.served.conftest import Caller, credentials, detail
from tests.legacy_compat.served.conftest import boss as boss
from tests.legacy_compat.served.conftest import plain as plain
from tests.legacy_compat.served.conftest import world as world
from tests.legacy_compat.upstream import Upstream

NEW = "another long phrase"


def bounded(boss: Caller) -> Role:
    """The superuser may do what a role of theirs says, and no more."""
    switch_on("rbac_enabled")
    role = Role.objects.create(name="weak", tenant=boss.user.tenant)
    RolePermission.objects.create(role=role, permission=Permission.objects.get(code="users:read"))
    UserRole.objects.create(user=boss.user, role=role)
    return role


def spellings(token: str) -> list[str]:
    """Which a library that is lax about base64 takes for the same."""
    last = base64.urlsafe_b64encode(base64.urlsafe_b64decode(token.rpartition(".")[2] + "="))
    other = "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    changed = token[:-1] + other[(other.index(token[-1]) + 1) % 64]
    return [
        f"{token}=",
        changed,
        token.replace(".", ".=", 2),
        f"{token[:-5]}!!!!{token[-5:]}",
        f"{token}{last[:0].decode()}==",
    ]


def test_an_ended_token_spelled_another_way_does_not_reach_legacy(boss: Caller, upstream: Upstream) -> None:
    boss("POST", "/api/auth/logout")
    for token in (boss.token, *spellings(boss.token)):
        for path in ("auth/me", "products", "v1/roles/", f"auth/users/{boss.user.pk}"):
            answer = boss.client.get(f"/api/{path}", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, (token[-8:], path)
    assert upstream.seen == []


def test_who_has_the_name_of_a_superuser_of_legacys_is_not_taken_for_them(plain: Caller, upstream: Upstream) -> None:
    make_user(make_tenant("legacy"), username="root", is_superuser=True)
    assert plain("PUT", f"/api/auth/users/{plain.user.pk}", {"username": "root"}).status_code == 200
    named = Caller(User.objects.get(pk=plain.user.pk))
    for path in ("licenses/master-keys/current-private", "products"):
        assert detail(named("GET", f"/api/{path}")) == (403, "Not enough permissions")
    assert upstream.seen == []


def test_the_master_keys_are_for_superusers(boss: Caller, plain: Caller, upstream: Upstream) -> None:
    assert plain("GET", "/api/licenses/master-keys").status_code == 403
    assert boss("GET", "/api/licenses/master-keys").status_code == 207
    User.objects.filter(pk=boss.user.pk).update(is_superuser=False)
    assert boss("GET", "/api/licenses/master-keys").status_code == 403


def test_subscriptions_of_another_tenant_are_not_reached_through_legacy(plain: Caller, upstream: Upstream) -> None:
    other = make_tenant()
    theirs = Subscription.objects.create(tenant_id=other.pk, status="canceled")
    body = {"status": "active"}
    assert detail(plain("PUT", f"/api/subscriptions/{theirs.pk}", body)) == (404, "Subscription not found")
    assert plain("GET", f"/api/tenants/{other.pk}/subscriptions").status_code == 404
    assert plain("POST", "/api/subscriptions", {"tenant_id": str(other.pk)}).status_code == 404
    assert upstream.seen == []
    mine = Subscription.objects.create(tenant_id=plain.user.tenant_id, status="active")
    assert plain("PUT", f"/api/subscriptions/{mine.pk}", body).status_code == 207


def test_a_superuser_whose_role_says_little_does_not_climb(boss: Caller, plain: Caller) -> None:
    weak = bounded(boss)
    new = {"email": "x@y", "username": "climber", "password": NEW, "is_superuser": True}
    assert boss("POST", "/api/auth/users", new).status_code == 403
    assert boss("POST", "/api/auth/v1/users/bulk-create", [new]).json()["created"] == 0
    assert boss("PUT", f"/api/auth/users/{plain.user.pk}", {"is_superuser": True}).status_code == 403
    assert boss("DELETE", f"/api/v1/roles/users/{boss.user.pk}/roles/{weak.pk}").status_code == 403
    strong = make_user(boss.user.tenant, is_superuser=True)
    assert boss("DELETE", f"/api/tenants/{boss.user.tenant_id}").status_code == 403
    client = OAuthClient.objects.create(tenant=boss.user.tenant, client_id="c", client_name="C")
    assert boss("POST", f"/api/v1/applications/{client.client_id}/users/{strong.pk}").status_code == 403
    assert not User.objects.filter(username="climber").exists() and UserRole.objects.get().role == weak
    assert (
        not User.objects.get(pk=plain.user.pk).is_superuser and Tenant.objects.filter(pk=boss.user.tenant_id).exists()
    )


def test_a_licence_is_not_made_good_by_taking_it_from_its_subscription(plain: Caller) -> None:
    canceled = Subscription.objects.create(tenant_id=plain.user.tenant_id, status="canceled")
    licence = make_licence(plain.user.tenant, linked_subscription=str(canceled.pk), payload={})
    nulls = {"linked_subscription": None, "issued_at": None, "validity_days": None}
    assert plain("PUT", f"/api/licenses/{licence.pk}", nulls).status_code == 200
    told = plain.client.get(f"/api/licenses/validate/{licence.license_key}").json()
    assert told["details"] == "Linked subscription is canceled"
    assert License.objects.get().linked_subscription == str(canceled.pk)
    new = {"tenant_id": str(plain.user.tenant_id), "payload": {}}
    assert plain("POST", "/api/licenses", new | {"linked_subscription": None}).status_code == 422


@pytest.mark.parametrize(
    "values",
    [{"issued_at": None}, {"linked_subscription": ""}, {"issued_at": "2999-01-01T00:00:00Z"}, {"tenant": None}],
)
def test_what_nobody_can_judge_is_not_good(boss: Caller, values: dict[str, Any]) -> None:
    licence = make_licence(boss.user.tenant)
    License.objects.filter(pk=licence.pk).update(**values)
    assert boss.client.get(f"/api/licenses/validate/{licence.license_key}").json()["valid"] is False


def test_a_whole_licence_can_be_sent_back(plain: Caller, settings: Any) -> None:
    for linked in (None, str(uuid.uuid4())):
        licence = make_licence(
            plain.user.tenant, template_id=str(uuid.uuid4()), linked_subscription=linked, payload={"a": "b"}
        )
        whole = plain("GET", f"/api/licenses/{licence.pk}").json()
        sent = {name: value for name, value in whole.items() if value is not None}
        assert plain("PUT", f"/api/licenses/{licence.pk}", sent | {"validity_days": 9}).status_code == 200
    assert plain("PUT", f"/api/licenses/{licence.pk}", {"payload": {"a": ["<b>"], "<k>": 1}}).json()["payload"] == {
        "a": ["&lt;b&gt;"], "<k>": 1,
    }  # fmt: skip


def test_a_number_of_thousands_of_digits_is_no_fault_of_ours(boss: Caller) -> None:
    for path in ("auth/logout", "licenses", "auth/v1/users/bulk-create"):
        body = b'{"validity_days":' + b"9" * 5000 + b"}"
        headers = {"Authorization": f"Bearer {boss.token}"}
        answer = boss.client.post(f"/api/{path}", body, content_type="application/json", headers=headers)
        assert answer.status_code == 422, path


def test_what_json_cannot_say_fails_one_of_many_alone(boss: Caller) -> None:
    headers = {"Authorization": f"Bearer {boss.token}"}
    bodies = (b'[{"username":"\\ud800"}]', b'[{"username":NaN,"x":1e999}]', b'["\\ud800"]')
    for method, path, body in zip(("POST", "POST", "DELETE"), ("create", "create", "delete"), bodies, strict=True):
        answer = boss.client.generic(
            method, f"/api/auth/v1/users/bulk-{path}", body, content_type="application/json", headers=headers
        )
        assert (answer.status_code, answer.json()["errors"]) == (200, 1)


def test_text_that_looks_like_an_entity_is_kept(plain: Caller) -> None:
    place, url = f"/api/auth/users/{plain.user.pk}", "https://a.example/?a=1&copy=2&reg=3&lt=4"
    kept = plain("PUT", place, {"avatar_url": url}).json()["avatar_url"]
    assert kept == url.replace("&", "&amp;")
    assert plain("PUT", place, {"avatar_url": kept}).json()["avatar_url"] == kept


def test_a_new_e_mail_address_is_not_verified(plain: Caller) -> None:
    User.objects.filter(pk=plain.user.pk).update(email_verified=True)
    plain("PUT", "/api/auth/v1/users/me/profile", {"email": "somebody.else@example.org"})
    assert User.objects.get(pk=plain.user.pk).email_verified is False


def test_an_id_spelled_another_way_is_still_ones_own(boss: Caller) -> None:
    answer = boss("PATCH", f"/api/auth/v1/users/{boss.user.pk.hex}/deactivate")
    assert detail(answer) == (400, "Cannot deactivate your own account")


def test_an_application_sends_nobody_anywhere(boss: Caller) -> None:
    for uri in ("javascript:alert(1)", "http://a.example/#x", "*", "https://[", ""):
        answer = boss("POST", "/api/v1/applications/", {"client_name": "A", "redirect_uris": [uri]})
        assert answer.status_code == 422, uri


def test_a_role_that_is_named_alike_but_for_spaces_is_taken(boss: Caller) -> None:
    assert boss("POST", "/api/v1/roles/", {"name": " x "}).json()["name"] == "x"
    other = boss("POST", "/api/v1/roles/", {"name": "y"}).json()
    assert boss("PUT", f"/api/v1/roles/{other['id']}", {"name": " x"}).status_code == 400


def test_more_at_once_than_a_moment_allows_is_told(boss: Caller) -> None:
    answer = boss("DELETE", "/api/auth/v1/users/bulk-delete", ["x"] * 101)
    assert [each["type"] for each in answer.json()["detail"]] == ["too_long"]


def test_a_taken_slug_leaves_no_home_behind(boss: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    from flags.models import TenantHome

    before = TenantHome.objects.count()
    body = {"name": "x", "slug": "acme", "max_licenses": 1}
    monkeypatch.setattr("legacy_compat.served.tenants._taken", lambda slug: False)  # somebody was quicker
    assert boss("POST", "/api/tenants", body).status_code == 400
    assert TenantHome.objects.count() == before


def test_each_client_that_signs_in_counts_for_itself_at_legacy(boss: Caller, upstream: Upstream) -> None:
    """The released service counts who has no bearer by the address, and all come from ours."""
    user = make_user(make_tenant("legacy"))
    for address in ("203.0.113.1", "203.0.113.2", "203.0.113.1"):
        boss.client.post("/api/auth/login", credentials(user), REMOTE_ADDR=address)
    bearers = [headers.get("Authorization", "") for _, _, headers, _ in upstream.seen]
    assert bearers[0] == bearers[2] != bearers[1] and all(each.startswith("Bearer ") for each in bearers)


def test_without_legacys_secret_nobody_can_tell(boss: Caller, settings: Any, rf: Any) -> None:
    from legacy_compat.call import parse

    call = parse(rf.get("/api/x", headers={"Authorization": "Bearer a.b.c"}), "x")
    assert passing.unreadable(call)
    settings.LEGACY_JWT_SECRET = settings.SECRET_KEY
    assert not passing.unreadable(call)
