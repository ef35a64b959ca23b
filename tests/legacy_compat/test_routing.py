"""Which system answers: by the tenant's home, at this moment; and what a client sees when the legacy system is unwell."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from flags.models import TenantHome
from iam.models import User
from iam.passwords import hashed
from tests.legacy_compat.conftest import PASSWORD, Old, make_licence, make_tenant, make_user
from tests.legacy_compat.upstream import Upstream


def of_legacy(old: Old, settings: Any, **more: Any) -> str:
    """A token as the legacy system issues them: it names no session."""
    claims = {
        "sub": old.user.username, "user_id": str(old.user.pk), "tenant_id": str(old.tenant.pk), "exp": int(time.time()) + 900,
    }  # fmt: skip
    return jwt.encode({"alg": "HS256"}, claims | more, OctKey.import_key(settings.LEGACY_JWT_SECRET))


def test_a_tenant_in_the_iam_never_reaches_legacy(old: Old, upstream: Upstream) -> None:
    assert old.login().status_code == 200
    assert upstream.seen == []


def test_a_flip_is_seen_by_the_next_request(old: Old, upstream: Upstream) -> None:
    token = old.login().json()["access_token"]
    assert old.get("/api/auth/me", token).status_code == 200
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy")
    assert old.get("/api/auth/me", token).status_code == 207


def test_the_kill_switch_sends_everybody_to_one_side(old: Old, upstream: Upstream, settings: Any) -> None:
    settings.LEGACY_SERVED_BY = "legacy"
    assert old.login().status_code == 207


def test_a_token_that_legacy_issued_works_after_the_cut_over(old: Old, settings: Any) -> None:
    claims = {
        "sub": old.user.username, "user_id": str(old.user.pk), "tenant_id": str(old.tenant.pk), "exp": int(time.time()) + 60,
    }  # fmt: skip
    key = OctKey.import_key(settings.LEGACY_JWT_SECRET)
    token = jwt.encode({"alg": "HS256"}, claims, key)
    assert old.get("/api/auth/me", token).json()["id"] == str(old.user.pk)
    spent = jwt.encode({"alg": "HS256"}, claims | {"exp": int(time.time()) - 1}, key)
    assert old.get("/api/auth/me", spent).status_code == 401
    renewed = jwt.encode({"alg": "HS256"}, claims | {"type": "refresh"}, key)
    User.objects.filter(pk=old.user.pk).update(refresh_token=renewed)
    assert old.post("/api/auth/refresh", refresh_token=renewed).status_code == 200


@pytest.mark.parametrize("kind", ["other key", "no algorithm", "changed", "refresh as access", "other tenant"])
def test_a_token_that_is_not_right_is_refused(old: Old, settings: Any, kind: str) -> None:
    pair = old.login().json()
    good = pair["access_token"]
    head, body, signature = good.split(".")
    claims = {"sub": "x", "user_id": str(old.user.pk), "exp": int(time.time()) + 60}
    key = OctKey.import_key(settings.LEGACY_JWT_SECRET)
    bad = {
        "other key": jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("another secret of a decent length, too")),
        "no algorithm": f"eyJhbGciOiJub25lIn0.{body}.",
        "changed": f"{head}.{body[:-4]}AAAA.{signature}",
        "refresh as access": pair["refresh_token"],
        "other tenant": jwt.encode({"alg": "HS256"}, claims | {"tenant_id": str(make_tenant().pk)}, key),
    }[kind]
    answer = old.get("/api/auth/me", bad)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Could not validate credentials"})


def test_the_log_line_holds_no_password_and_no_token(old: Old, caplog: Any) -> None:
    with caplog.at_level("INFO"):
        token = old.login().json()["access_token"]
        old.get("/api/auth/me", token)
    lines = [str(record.msg) for record in caplog.records if "legacy_request" in str(record.msg)]
    assert len(lines) == 2
    assert not any(PASSWORD in line or token in line for line in lines)


def test_a_token_of_legacys_ends_with_its_logout(old: Old, settings: Any) -> None:
    token, other = of_legacy(old, settings), of_legacy(old, settings, exp=int(time.time()) + 901)
    assert old.post("/api/auth/logout", token).status_code == 200
    assert old.get("/api/auth/me", token).status_code == 401
    assert old.get("/api/auth/me", other).status_code == 200


def test_tokens_of_legacys_end_with_a_new_password(old: Old, settings: Any) -> None:
    token = of_legacy(old, settings)
    renewed = of_legacy(old, settings, type="refresh", exp=int(time.time()) + 6 * 86400)
    changed = old.post("/api/auth/change-password", token, current_password=PASSWORD, new_password="another phrase")
    assert changed.status_code == 200
    assert old.get("/api/auth/me", token).status_code == 200  # the caller goes on, as in legacy
    User.objects.filter(pk=old.user.pk).update(refresh_token=renewed)
    assert old.post("/api/auth/refresh", refresh_token=renewed).status_code == 401


def test_a_token_revoked_here_does_not_reach_legacy(old: Old, upstream: Upstream) -> None:
    token = old.login().json()["access_token"]
    old.post("/api/auth/logout", token)
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy")
    assert old.get("/api/auth/me", token).status_code == 401
    assert upstream.seen == []


def legacys_answer(old: Old, settings: Any, tenant: Any = None) -> dict[str, str]:
    """To a login that it accepted."""
    about = {"tenant_id": str(tenant.pk)} if tenant else {}
    return {"access_token": of_legacy(old, settings, **about), "refresh_token": "x", "token_type": "bearer"}


@pytest.mark.parametrize("bearer", ["none", "garbage", "expired", "of another tenant"])
@pytest.mark.parametrize("spelling", ["plain", "upper", "braces", "urn", "none"])
def test_no_token_and_no_spelling_chooses_who_judges_a_login(
    old: Old, upstream: Upstream, settings: Any, bearer: str, spelling: str
) -> None:
    elsewhere = make_user(make_tenant("legacy"))
    sent = {
        "none": "", "garbage": "x.y.z", "expired": of_legacy(old, settings, exp=1),
        "of another tenant": of_legacy(old, settings, user_id=str(elsewhere.pk), tenant_id=str(elsewhere.tenant_id)),
    }[bearer]  # fmt: skip
    plain = str(old.tenant.pk)
    tenant = {"plain": plain, "upper": plain.upper(), "braces": f"{{{plain}}}", "urn": f"urn:uuid:{plain}", "none": ""}[
        spelling
    ]
    fields = {"username": old.user.username, "password": PASSWORD} | ({"tenant_id": tenant} if tenant else {})
    assert old.post("/api/auth/login", sent, **fields).status_code == 200
    assert old.post("/api/auth/login", sent, **(fields | {"password": "wrong"})).status_code == 401
    refresh = old.login().json()["refresh_token"]
    assert old.post("/api/auth/refresh", sent, refresh_token=refresh).status_code == 200
    assert upstream.seen == []


def test_credentials_are_read_as_leniently_as_legacy_reads_them(old: Old, upstream: Upstream, settings: Any) -> None:
    settings.LEGACY_CONTRACT = "observed"
    sent = base64.b64encode(f"{old.user.username}:{PASSWORD}".encode()).decode()
    for spelled in (sent, sent + "\n", sent[:5] + " \n" + sent[5:], "\t" + sent):
        answer = old.post("/api/auth/login", credentials=spelled, tenant_id=str(old.tenant.pk))
        assert answer.status_code == 200
    assert old.post("/api/auth/login", credentials="!", tenant_id=str(old.tenant.pk)).status_code == 400
    assert upstream.seen == []


def test_a_name_in_both_systems_is_judged_by_whose_password_it_is(old: Old, upstream: Upstream) -> None:
    twin = make_user(make_tenant("legacy"), username=old.user.username, hashed_password=hashed("another one"))
    assert old.login().json()["user"]["id"] == str(old.user.pk)
    assert old.login(password="wrong").status_code == 401
    assert upstream.seen == []
    assert old.login(password="another one").status_code == 207
    assert old.login(password="another one", tenant_id=str(twin.tenant_id)).status_code == 207


def test_a_login_that_legacy_accepts_for_a_tenant_that_left_it_is_no_login(
    old: Old, upstream: Upstream, settings: Any
) -> None:
    upstream.say(200, legacys_answer(old, settings))
    answer = old.login(username="a name that only legacy has")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Incorrect username or password"})
    assert old.post("/api/auth/refresh", refresh_token="known to legacy alone").status_code == 401
    assert len(upstream.seen) == 2
    upstream.say(200, legacys_answer(old, settings, make_tenant("legacy")))
    assert old.login(username="a name that only legacy has").status_code == 200


def test_a_validation_is_routed_by_its_licence_whatever_token_comes_along(
    old: Old, upstream: Upstream, settings: Any
) -> None:
    ours, theirs = make_licence(old.tenant), make_licence(make_tenant("legacy"))
    token = old.login().json()["access_token"]
    assert old.get(f"/api/licenses/validate/{theirs.license_key}", token).status_code == 207
    assert (
        old.get(
            f"/api/licenses/validate/{ours.license_key}", of_legacy(old, settings, tenant_id=str(theirs.tenant_id))
        ).status_code
        == 200
    )
    assert old.post("/api/licenses/validate", license_key=ours.license_key).json()["valid"]


@pytest.mark.parametrize("path", ["/api/auth/login/", "/api/%61uth/login", "/api//auth/login", "/api/./auth/login"])
def test_no_spelling_of_the_path_evades_the_throttle(old: Old, upstream: Upstream, settings: Any, path: str) -> None:
    settings.AUTH_CALLS_A_MINUTE = 1
    old.client.post("/api/auth/login", {"username": "x", "password": "y"}, REMOTE_ADDR="192.0.2.77")
    answer = old.client.post(path, {"username": "x", "password": "y"}, REMOTE_ADDR="192.0.2.77", REQUEST_URI=path)
    assert answer.status_code in (429, 400)
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("policy", "reads", "writes"), [("reads", 200, 503), ("allow", 200, 200), ("refuse", 503, 503)]
)
def test_without_redis_the_setting_decides(old: Old, settings: Any, policy: str, reads: int, writes: int) -> None:
    settings.AUTH_CALLS_A_MINUTE, settings.THROTTLES_WITHOUT_REDIS = 5, policy
    token = old.login().json()["access_token"]
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    assert old.get("/api/auth/me", token).status_code == reads
    assert old.login().status_code == writes
