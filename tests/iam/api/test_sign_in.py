"""Signing in through the new API: what a client gets, and what it is told when it does not."""

from __future__ import annotations

import base64
import hmac
import os
import statistics
import time
from typing import Any

import pyotp
import pytest
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from flags.models import TenantHome
from iam import keys, passwords, sign_in, totp
from iam.models import Session, TenantSettings, User
from tests.iam.conftest import Api, uid
from tests.legacy_compat.conftest import PASSWORD, make_tenant, make_user


def test_a_login_says_who_it_is_and_what_they_may(api: Api) -> None:
    answer = api.login().json()
    assert answer["user"]["id"] == str(api.admin.pk) and answer["expires_in"] == 900
    assert "users:write" in answer["permissions"]
    assert api.call("GET", "/me", answer["access_token"]).json()["username"] == api.admin.username


def test_tokens_verify_with_the_published_keys_only(api: Api) -> None:
    published = KeySet.import_key_set(api.client.get("/.well-known/jwks.json").json())
    assert all("d" not in key for key in api.client.get("/.well-known/jwks.json").json()["keys"])
    claims = jwt.decode(api.token, published, ["ES256"]).claims
    assert claims["user_id"] == str(api.admin.pk)


def test_a_rotated_key_signs_and_the_old_one_still_verifies(api: Api) -> None:
    keys.rotate(now=True)
    newer = api.login().json()["access_token"]
    assert len(keys.published()["keys"]) == 2
    assert api.call("GET", "/me", newer).status_code == api.call("GET", "/me").status_code == 200
    assert not keys.rotate()


def test_private_keys_are_not_readable_in_the_database(api: Api) -> None:
    from iam.models import SigningKey

    assert '"d"' not in SigningKey.objects.get().private_jwk_encrypted


def forged(api: Api, kind: str) -> str:
    claims = jwt.decode(api.token, keys.verifying(), ["ES256"]).claims
    if kind == "tampered":
        head, body, tail = api.token.split(".")
        return f"{head}.{body[:-2]}{'A' if body[-2] != 'A' else 'B'}{body[-1]}.{tail}"
    if kind == "alg none":
        part = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        return f"{part}.{api.token.split('.')[1]}."
    if kind == "expired":
        return jwt.encode({"alg": "ES256"}, claims | {"exp": 1}, keys.signing(), ["ES256"])
    if kind == "another key":
        return jwt.encode({"alg": "ES256"}, claims, ECKey.generate_key("P-256"), ["ES256"])
    if kind == "another issuer":
        return jwt.encode({"alg": "ES256"}, claims | {"iss": "https://evil.example"}, keys.signing(), ["ES256"])
    # The classic confusion: the public key used as an HMAC secret.
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    said = head + b"." + api.token.split(".")[1].encode()
    mark = hmac.digest(keys.signing().as_pem(private=False), said, "sha256")
    return (said + b"." + base64.urlsafe_b64encode(mark).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "kind", ["tampered", "alg none", "expired", "another key", "another issuer", "public key as a secret"]
)
def test_a_forged_token_is_refused_by_both_doors(api: Api, kind: str) -> None:
    token = forged(api, kind)
    assert api.call("GET", "/me", token).status_code == 401
    assert api.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(api: Api) -> None:
    first = api.login().json()
    second = api.call("POST", "/auth/refresh", "", refresh_token=first["refresh_token"])
    assert second.status_code == 200
    assert api.call("GET", "/me", second.json()["access_token"]).status_code == 200
    assert api.call("POST", "/auth/refresh", "", refresh_token=first["refresh_token"]).status_code == 401
    assert api.call("GET", "/me", second.json()["access_token"]).status_code == 401
    again = api.call("POST", "/auth/refresh", "", refresh_token=second.json()["refresh_token"])
    assert again.status_code == 401


def test_a_refresh_token_is_no_access_token(api: Api) -> None:
    assert api.call("GET", "/me", api.login().json()["refresh_token"]).status_code == 401


def test_logout_ends_the_session(api: Api) -> None:
    assert api.call("POST", "/auth/logout").status_code == 204
    assert api.call("GET", "/me").status_code == 401


def test_tokens_of_the_legacy_form_work_at_the_new_api(api: Api) -> None:
    old = api.client.post("/api/auth/login", {"username": api.admin.username, "password": PASSWORD}).json()
    assert api.call("GET", "/me", old["access_token"]).status_code == 200


def test_tokens_live_as_long_as_the_tenants_settings_say(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, access_token_ttl_minutes=5, refresh_token_ttl_days=2)
    assert api.login().json()["expires_in"] == 300


@pytest.mark.parametrize("fields", [{"password": "wrong"}, {"username": "nobody"}])
def test_every_failure_gives_the_same_problem(api: Api, fields: dict[str, str]) -> None:
    answer = api.login(**fields)
    assert answer.status_code == 401 and answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "The user name, password or code is wrong."


def test_failures_of_every_kind_take_the_same_time(api: Api) -> None:
    """Medians of the processor's time at a real bcrypt cost: one hash more or less would be a factor of two, none a hundred."""
    costly = passwords.hashed("right")
    wrong, off = (make_user(api.tenant, hashed_password=costly, is_active=active) for active in (True, False))
    broken = make_user(api.tenant, hashed_password="{SHA}what-is-this")
    passwords.verify("x", None)  # the decoy is made once

    def cost(user: User | None, password: str) -> float:
        taken = []
        for _ in range(5):
            begun = time.process_time()
            assert api.login(user, **({} if user else {"username": uid()}), password=password).status_code == 401
            taken.append(time.process_time() - begun)
        return statistics.median(taken)

    costs = [cost(wrong, "x"), cost(off, "right"), cost(broken, "x"), cost(None, "x")]
    assert max(costs) < 1.4 * min(costs), costs
    sign_in._limiter().storage.reset()
    escaped = [cost(wrong, "a&b"), cost(None, "a&b")]  # tried twice, also as the released service stored it
    assert max(escaped) < 1.4 * min(escaped), escaped


def test_the_escaped_form_counts_only_for_hashes_that_legacy_made(api: Api) -> None:
    stored = passwords.hashed("a&amp;b")
    old, new = (make_user(api.tenant, hashed_password=stored, last_password_change=at) for at in (None, timezone.now()))
    assert api.login(old, password="a&b").status_code == 200
    assert api.login(new, password="a&b").status_code == 401


def test_too_many_failures_lock_the_name_at_both_doors(api: Api) -> None:
    for door in range(sign_in.FAILURES):
        if door % 2:
            assert api.login(password="wrong").status_code == 401
        else:
            wrong = {"username": api.admin.username, "password": "wrong"}
            assert api.client.post("/api/auth/login", wrong).status_code == 401
    assert api.login().status_code == 401
    right = {"username": api.admin.username, "password": PASSWORD}
    assert api.client.post("/api/auth/login", right).status_code == 401


def test_calls_are_counted_across_doors(api: Api, settings: Any) -> None:
    settings.LEGACY_CALLS_A_MINUTE = 4
    codes = [api.login().status_code for _ in range(2)]
    codes += [api.client.post("/api/auth/login", {"username": "x", "password": "y"}).status_code for _ in range(2)]
    assert codes == [200, 200, 401, 401]
    assert api.login().status_code == 429
    assert api.client.post("/api/auth/login", {"username": "x", "password": "y"}).status_code == 429


def test_an_enrolled_user_shows_a_code_and_each_counts_once(api: Api, settings: Any) -> None:
    key, secret = os.urandom(32), pyotp.random_base32()
    settings.MFA_SECRET_KEY = base64.b64encode(key).decode()
    user = make_user(api.tenant, mfa_enabled=True, mfa_secret_encrypted=totp.sealed(secret, key, os.urandom(12)))
    assert api.login(user).json()["type"].endswith("code-needed")
    code = pyotp.TOTP(secret).now()
    assert api.login(user, code=code).status_code == 200
    assert api.login(user, code=code).status_code == 401
    assert api.login(user, code="000000").status_code == 401


def test_without_the_legacy_key_codes_cannot_be_checked_and_nobody_slips_in(api: Api) -> None:
    user = make_user(api.tenant, mfa_enabled=True, mfa_secret_encrypted="AAAA")
    answer = api.login(user, code="123456")
    assert answer.status_code == 503 and "operators" in answer.json()["detail"]


def test_the_hash_becomes_argon2id_once_the_tenant_is_final(api: Api) -> None:
    api.login()
    assert not User.objects.get(pk=api.admin.pk).hashed_password.startswith("$argon2id$")
    TenantHome.objects.filter(pk=str(api.tenant.pk)).update(final=True)
    api.login()
    assert User.objects.get(pk=api.admin.pk).hashed_password.startswith("$argon2id$")
    assert api.login().status_code == 200


def test_a_tenant_that_lives_in_legacy_is_sent_to_the_legacy_endpoints(api: Api, settings: Any) -> None:
    settings.LEGACY_UPSTREAM_URL = "http://127.0.0.1:1"
    elsewhere = make_user(make_tenant(home="legacy"))
    answer = api.login(elsewhere)
    assert answer.status_code == 409 and answer.json()["type"].endswith("tenant-not-moved")
    assert not Session.objects.filter(user=elsewhere).exists()


def test_a_new_password_ends_every_session(api: Api) -> None:
    changed = api.call("POST", "/me/password", current_password=PASSWORD, new_password="a longer password")
    assert changed.status_code == 204
    assert api.call("GET", "/me").status_code == 401
    assert api.login(password="a longer password").status_code == 200


def test_a_password_shorter_than_the_tenant_wants_is_refused(api: Api) -> None:
    answer = api.call("POST", "/me/password", current_password=PASSWORD, new_password="short")
    assert answer.status_code == 422 and "12" in answer.json()["detail"]
