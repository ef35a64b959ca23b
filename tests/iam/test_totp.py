"""One-time codes."""

from __future__ import annotations

import base64
import os
import time
from typing import Any

import pyotp
import pytest
import redis

from iam import totp
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import make_user
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


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


def test_a_code_is_remembered_for_as_long_as_it_is_good(api: Api, settings: Any) -> None:
    key, secret = os.urandom(32), pyotp.random_base32()
    settings.MFA_SECRET_KEY = base64.b64encode(key).decode()
    user = make_user(api.tenant, mfa_enabled=True, mfa_secret_encrypted=totp.sealed(secret, key, os.urandom(12)))
    generator, now = pyotp.TOTP(secret), int(time.time())
    ahead = generator.at(now + 30)  # of a client whose clock is fast: good until two steps from now have begun
    assert totp.verify(user, ahead)
    good_for = (now // 30 + 3) * 30 - now
    assert redis.Redis.from_url(settings.REDIS_URL).ttl(f"totp:{user.pk}:{ahead}") >= good_for - 1
    assert not totp.verify(user, ahead)
