"""Users with one-time codes."""

from __future__ import annotations

import base64
import os
from typing import Any

import pyotp

from iam import totp
from iam.models import Tenant, User
from tests.legacy_compat.conftest import make_user


def with_codes(settings: Any, tenant: Tenant, **values: Any) -> tuple[User, pyotp.TOTP]:
    """A user who has enrolled, and what shows their codes."""
    key, secret = os.urandom(32), pyotp.random_base32()
    settings.MFA_SECRET_KEY = base64.b64encode(key).decode()
    sealed = totp.sealed(secret, key, os.urandom(12))
    return make_user(tenant, mfa_enabled=True, mfa_secret_encrypted=sealed, **values), pyotp.TOTP(secret)
