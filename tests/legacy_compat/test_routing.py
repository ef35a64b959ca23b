"""Which system answers: by the tenant's home, at this moment; and what a client sees when the legacy system is unwell."""

from __future__ import annotations

import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from flags.models import TenantHome
from tests.legacy_compat.conftest import PASSWORD, Old, make_tenant
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
    changed = old.post("/api/auth/change-password", token, current_password=PASSWORD, new_password="another one")
    assert changed.status_code == 200
    assert old.get("/api/auth/me", token).status_code == 401
    assert old.post("/api/auth/refresh", refresh_token=renewed).status_code == 401


def test_a_token_revoked_here_does_not_reach_legacy(old: Old, upstream: Upstream) -> None:
    token = old.login().json()["access_token"]
    old.post("/api/auth/logout", token)
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy")
    assert old.get("/api/auth/me", token).status_code == 401
    assert upstream.seen == []
