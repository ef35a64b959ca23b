"""What a stranger tried at the doors of the IAM, and got in with."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flags.models import TenantHome
from iam import hashes, passwords, removal, sign_in, throttles, tokens, totp
from iam.models import Permission, Role, RolePermission, Session, Tenant, TenantSettings, User, UserRole
from iam.oauth.models import AccessToken, RefreshToken, digest
from iam.sign_in import Asked
from tests.iam.api.test_powers import somebody, token
from tests.iam.conftest import Api
from tests.iam.enrolling import with_codes
from tests.iam.oauth.conftest import make_client, switch_on
from tests.legacy_compat.conftest import PASSWORD, QUICK_HASH, make_tenant, make_user
from tests.legacy_compat.upstream import Upstream
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    throttles._limiter().storage.reset()
    return rolled_back


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "auth/me"),
        ("GET", "auth/users"),
        ("GET", "tenants"),
        ("POST", "tenants"),
        ("POST", "auth/change-password"),
    ],
)
def test_a_weak_token_of_the_new_api_opens_no_old_door(api: Api, method: str, path: str) -> None:
    boss = make_user(api.tenant, is_superuser=True)
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    weak = api.login(boss).json()["access_token"]
    answer = api.client.generic(method, f"/api/{path}", headers=bearer(weak))
    assert answer.status_code == 403 and "multi-factor" in answer.json()["detail"]


def test_a_refresh_at_the_other_door_evades_no_password_that_is_due(api: Api) -> None:
    user = make_user(api.tenant)
    own = api.login(user).json()
    old = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).json()
    User.objects.filter(pk=user.pk).update(require_password_change=True)
    for pair in (own, old):
        answer = api.call("POST", "/auth/refresh", "", refresh_token=pair["refresh_token"])
        assert answer.status_code == 403 and answer.json()["type"].endswith("password-due")
    assert api.client.get("/api/auth/me", headers=bearer(old["access_token"])).status_code == 403
    body = {"current_password": PASSWORD, "new_password": "a longer password"}
    changed = api.client.post("/api/auth/change-password", body, headers=bearer(old["access_token"]))
    assert changed.status_code == 200


def test_guesses_at_a_code_are_bounded_whatever_succeeds_in_between(api: Api, settings: Any) -> None:
    user, code = with_codes(settings, api.tenant)
    for _ in range(throttles.FAILURES):
        assert api.login(user, code="000000").status_code == 401
        assert api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).status_code == 200
        throttles._limiter().clear(throttles._HERE, "sign-in", throttles._digest(str(user.pk), "127.0.0.1"))
    assert api.login(user, code=code.now()).status_code == 401


def test_a_code_counts_once_in_whatever_digits(api: Api, settings: Any) -> None:
    user, code = with_codes(settings, api.tenant)
    now = code.now()
    assert totp.verify(user, now)
    assert not totp.verify(user, now.translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"}))


def test_a_new_password_writes_nothing_but_the_password(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user(api.tenant, is_superuser=True)
    mine, real = api.login(user).json()["access_token"], passwords.hashed

    def meanwhile(password: str, *, final: bool = False) -> str:
        with connections["iam"].cursor() as cursor:
            cursor.execute("UPDATE users SET is_superuser = false, full_name = 'X' WHERE id = %s", [str(user.pk)])
        return real(password, final=final)

    monkeypatch.setattr(passwords, "hashed", meanwhile)
    body = {"current_password": PASSWORD, "new_password": "a longer password"}
    assert api.call("POST", "/me/password", mine, **body).status_code == 204
    now = User.objects.get(pk=user.pk)
    assert (now.is_superuser, now.full_name) == (False, "X")


@pytest.mark.parametrize("final", [False, True])
def test_a_sign_in_under_way_gets_nothing_for_a_password_that_was_changed(
    api: Api, monkeypatch: pytest.MonkeyPatch, final: bool
) -> None:
    TenantHome.objects.filter(pk=str(api.tenant.pk)).update(final=final)
    user = make_user(api.tenant)
    real, new = sign_in.throttles.succeeded, QUICK_HASH[:-3] + "abc"

    def meanwhile(*arguments: str) -> None:
        User.objects.filter(pk=user.pk).update(hashed_password=new)
        real(*arguments)

    monkeypatch.setattr(sign_in.throttles, "succeeded", meanwhile)
    assert api.login(user).status_code == 401
    assert api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).status_code == 401
    assert User.objects.get(pk=user.pk).hashed_password == new
    assert not Session.objects.filter(user=user, is_active=True).exists()


def off(tenant: Tenant) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(is_active=False)


def wants_codes(tenant: Tenant) -> None:
    TenantSettings.objects.create(tenant=tenant, mfa_required=True)


def back_in_legacy(tenant: Tenant) -> None:
    TenantHome.objects.filter(pk=str(tenant.pk)).update(home="legacy")


@pytest.mark.parametrize("happens", [off, wants_codes, back_in_legacy])
def test_what_clients_hold_ends_with_what_it_was_given_for(api: Api, happens: Callable[[Tenant], None]) -> None:
    switch_on("oauth2_enabled")
    client, secret = make_client(api.tenant)
    about: Any = {
        "client": client,
        "user": api.admin,
        "expires_at": timezone.now() + timedelta(minutes=5),
        "amr": ["pwd"],
    }
    AccessToken.objects.create(token=digest("access"), scope="openid", **about)
    RefreshToken.objects.create(token=digest("refresh"), scope="openid", **about)
    happens(api.tenant)
    ask = {"client_id": client.client_id, "client_secret": secret}
    assert api.client.get("/oauth/userinfo", headers=bearer("access")).status_code == 401
    told = api.client.post("/oauth/introspect", ask | {"token": "access"}, secure=True)
    assert told.json() == {"active": False}
    again = api.client.post(
        "/oauth/token", ask | {"grant_type": "refresh_token", "refresh_token": "refresh"}, secure=True
    )
    assert again.status_code == 400


def test_a_client_of_one_tenant_acts_for_no_user_of_another(api: Api) -> None:
    switch_on("oauth2_enabled")
    client, _ = make_client(make_tenant())
    about: Any = {"client": client, "user": api.admin, "expires_at": timezone.now() + timedelta(minutes=5)}
    AccessToken.objects.create(token=digest("of-another"), scope="openid", **about)
    assert api.client.get("/oauth/userinfo", headers=bearer("of-another")).status_code == 401


def test_a_second_factor_is_set_up_for_nobody_whose_tenant_lives_in_legacy(api: Api, settings: Any) -> None:
    user, _ = with_codes(settings, api.tenant)
    User.objects.filter(pk=user.pk).update(mfa_enabled=False, mfa_secret_encrypted=None)
    wants_codes(api.tenant)
    browser = Client()
    assert browser.post("/oauth/sign-in", {"username": user.username, "password": PASSWORD}).status_code == 302
    back_in_legacy(api.tenant)
    assert browser.get("/oauth/second-factor").status_code == 409


def test_a_stolen_token_is_no_way_to_a_second_factor_or_a_password(api: Api, settings: Any) -> None:
    with_codes(settings, api.tenant)
    assert api.call("POST", "/me/mfa", current_password="a guess").status_code == 400
    assert api.call("POST", "/me/mfa").status_code == 422
    answer = api.call("PATCH", f"/users/{api.admin.pk}", password="a longer password")
    assert answer.status_code == 409 and "/me/password" in answer.json()["detail"]


@pytest.mark.parametrize("head", ['["alg"]', '"alg"', '{"alg":"HS256","crit":5}', '{"alg":["HS256"]}', "7", "null"])
def test_a_token_with_an_odd_head_is_a_bad_token(api: Api, head: str) -> None:
    odd = base64.urlsafe_b64encode(head.encode()).decode().rstrip("=") + ".e30.x"
    assert api.call("GET", "/me", odd).status_code == 401
    assert api.call("POST", "/auth/refresh", "", refresh_token=odd).status_code == 401
    assert api.client.get("/api/auth/me", headers=bearer(odd)).status_code == 401
    assert api.client.post("/api/auth/refresh", {"refresh_token": odd}).status_code == 401


def test_who_creates_users_gives_them_no_more_than_they_have(api: Api) -> None:
    switch_on("rbac_enabled")
    made = Role.objects.create(name="only users", tenant=api.tenant)
    RolePermission.objects.create(role=made, permission=Permission.objects.get(name="users:write"))
    clerk = make_user(api.tenant)
    UserRole.objects.create(user=clerk, role=made)
    body = {"username": "n", "email": "n@example.org", "password": "a longer password"}
    assert api.call("POST", "/users", token(api, clerk), **body).status_code == 403
    manager = somebody(api, "user manager")
    assert api.call("POST", "/users", token(api, manager), **body).status_code == 201


def test_a_role_that_has_expired_is_given_again(api: Api) -> None:
    user = make_user(api.tenant)
    UserRole.objects.create(user=user, role=Role.objects.get(name="user", tenant=None), expires_at=timezone.now())
    assert api.call("PUT", f"/users/{user.pk}/roles", roles=["user"]).status_code == 200
    assert UserRole.objects.get(user=user).expires_at is None


def test_a_user_with_a_capability_is_deleted_at_the_old_door(api: Api) -> None:
    user = make_user(api.tenant)
    with connections["iam"].cursor() as cursor:
        cursor.execute("INSERT INTO user_capability_state (user_id, capability_key) VALUES (%s, 'mfa')", [str(user.pk)])
    assert api.client.delete(f"/api/auth/users/{user.pk}", headers=bearer(api.token)).status_code == 200


def test_a_right_password_that_is_refused_takes_no_less_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = hashes.matches
    monkeypatch.setattr(hashes, "matches", lambda *a: (checked.append(hashes.kind(a[1])), real(*a))[1])

    def cost(user: User, password: str) -> list[str]:
        checked.clear()
        with pytest.raises(sign_in.WrongCredentials):
            sign_in.sign_in(Asked(user.username or "", password))
        return sorted(checked)

    known = make_user(api.tenant, hashed_password=passwords.hashed("a<b"), is_active=False)
    assert cost(known, "a<b") == cost(known, "x<y")


def test_half_a_pair_of_surrogates_is_no_json(api: Api) -> None:
    answer = api.client.put(
        f"/api/v1/users/{make_user(api.tenant).pk}/roles",
        b'{"roles": ["\\ud800"]}',
        "application/json",
        headers=bearer(api.token),
    )
    assert answer.status_code == 400


def test_enrolling_without_redis_is_a_problem_and_a_page(api: Api, settings: Any) -> None:
    with_codes(settings, api.tenant)
    wants_codes(api.tenant)
    user, browser = make_user(api.tenant), Client()
    browser.post("/oauth/sign-in", {"username": user.username, "password": PASSWORD})
    weak = api.login(user).json()["access_token"]
    settings.THROTTLES_WITHOUT_REDIS, settings.REDIS_URL = "allow", "redis://127.0.0.1:9/0"
    assert browser.get("/oauth/second-factor").status_code == 503
    assert api.call("POST", "/me/mfa", weak, current_password=PASSWORD).status_code == 503


def test_the_secret_that_was_scanned_stays_after_a_wrong_code(api: Api, settings: Any) -> None:
    with_codes(settings, api.tenant)
    wants_codes(api.tenant)
    user, browser = make_user(api.tenant), Client()
    browser.post("/oauth/sign-in", {"username": user.username, "password": PASSWORD})
    secret = browser.get("/oauth/second-factor").context["secret"]
    assert browser.post("/oauth/second-factor", {"code": "000000"}).context["secret"] == secret
    assert browser.post("/oauth/second-factor", {"code": pyotp.TOTP(secret).now(), "next": "word"}).status_code == 302


def test_what_was_ended_here_reaches_legacy_after_a_reversal_neither(api: Api, settings: Any) -> None:
    user = make_user(api.tenant)
    old = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).json()
    User.objects.filter(pk=user.pk).update(hashed_password=QUICK_HASH + " ")
    upstream = Upstream()
    settings.LEGACY_UPSTREAM_URL = upstream.url
    back_in_legacy(api.tenant)
    assert api.client.post("/api/auth/refresh", {"refresh_token": old["refresh_token"]}).status_code == 401
    assert api.client.get("/api/auth/me", headers=bearer(old["access_token"])).status_code == 401
    assert upstream.seen == []
    upstream.server.shutdown()


@pytest.mark.parametrize("body", [b"a=1&" * 1001 + b"refresh_token=x", b""])
def test_a_refresh_that_cannot_be_read_here_is_tried_nowhere(api: Api, settings: Any, body: bytes) -> None:
    upstream = Upstream()
    settings.LEGACY_UPSTREAM_URL = upstream.url
    for kind in ("application/x-www-form-urlencoded", "application/x+json"):
        assert api.client.post("/api/auth/refresh", body, kind).status_code == 422
    assert upstream.seen == []
    upstream.server.shutdown()


def test_two_who_end_a_users_sessions_wait_for_each_other_in_one_order(api: Api) -> None:
    """Removing a user locks the user before what belongs to them, as the trigger of a change does."""
    user = make_user(api.tenant)
    tokens.issue(user, ip="", agent="")
    with CaptureQueriesContext(connections["iam"]) as seen:
        removal.remove(user)
    asked = [query["sql"] for query in seen.captured_queries if "SAVEPOINT" not in query["sql"]]
    assert "FOR UPDATE" in asked[0] and '"users"' in asked[0]
