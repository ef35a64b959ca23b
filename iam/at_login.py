"""Migration at login: a password whose stored hash nobody can check is asked of the legacy system, once, when its owner types it.

The legacy system, or a webhook beside it, gets a POST with user_id, username, email, tenant_id and password as JSON, signed in
X-Signature (sha256=hex of an HMAC of the body under PASSWORD_CHECK_SECRET). It answers 200 with {"valid": true} or with an
access_token, as a login endpoint does, or 204: right; 200 with {"valid": false}, 401, 403 or 404: wrong. Whatever else it
does is no answer: nobody is signed in, and nobody is told that the password is wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

import requests
import structlog
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from iam import passwords, throttles
from iam.models import User

log = structlog.get_logger(__name__)
_WRONG = (401, 403, 404)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MOST_BYTES = 65_536


class Away(throttles.Unavailable):
    """The legacy system gave no answer."""


def knows(user: User, password: str) -> bool:
    """Whether the legacy system takes the password for the user's, where only it can tell. Raises Away."""
    if not settings.PASSWORD_CHECK_URL or passwords.settled(user.hashed_password):
        return False
    if _in_clear():
        log.error("password_not_checked", user=str(user.pk), error="PASSWORD_CHECK_URL would send passwords in clear")
        raise Away
    about = {"user_id": str(user.pk), "username": user.username, "email": user.email, "tenant_id": str(user.tenant_id)}
    body = json.dumps(about | {"password": password}).encode()
    signed = hmac.new(settings.PASSWORD_CHECK_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Signature": f"sha256={signed}"}
    try:
        # Not after a redirect: that would send the password to whoever it names.
        with requests.post(
            settings.PASSWORD_CHECK_URL, data=body, headers=headers, timeout=(2, settings.PASSWORD_CHECK_SECONDS),
            allow_redirects=False, stream=True,
        ) as answer:  # fmt: skip
            said = _said(answer)
    except requests.RequestException as error:
        log.warning("password_not_checked", user=str(user.pk), error=type(error).__name__)
        raise Away from error
    if said is None:
        log.warning("password_not_checked", user=str(user.pk), status=answer.status_code)
        raise Away
    return said


def _said(answer: requests.Response) -> bool | None:
    if answer.status_code in _WRONG:
        return False
    if answer.status_code == 204:
        return True
    if answer.status_code != 200:
        return None
    try:
        content = json.loads(answer.raw.read(_MOST_BYTES, decode_content=True))
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("valid"), bool):
        return bool(content["valid"])
    # A page that answers 200 to everybody must not let everybody in.
    return True if isinstance(content.get("access_token"), str) and content["access_token"] else None


@register(deploy=True)
def passwords_in_clear(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Passwords are sent there: over TLS, and to somebody who can tell that it is us who ask."""
    found: list[CheckMessage] = []
    if settings.PASSWORD_CHECK_URL and _in_clear():
        problem = "PASSWORD_CHECK_URL would send passwords in clear."
        found.append(Error(problem, hint="Let it begin with https://.", id="iam.E001"))
    if settings.PASSWORD_CHECK_URL and not settings.PASSWORD_CHECK_SECRET:
        problem = "PASSWORD_CHECK_SECRET is empty: anybody who reaches that address may guess."
        found.append(Warning(problem, hint="Set it on both sides.", id="iam.W001"))
    return found


def _in_clear() -> bool:
    url = urlsplit(settings.PASSWORD_CHECK_URL)
    return url.scheme != "https" and url.hostname not in _LOOPBACK
