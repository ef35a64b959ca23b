"""What others post to us: signed as our own webhooks are, and not long ago."""

from __future__ import annotations

import hmac
import time

from django.http import HttpRequest

from migration_portal.monitoring.alerts import signature

_OLDEST_SECONDS = 300


def genuine(request: HttpRequest, secret: str) -> bool:
    """Whether the body was signed with the secret, within the last five minutes."""
    moment = request.headers.get("X-Sigma-Timestamp", "")
    given = request.headers.get("X-Sigma-Signature", "").removeprefix("sha256=")
    young = (
        moment.isascii()
        and moment.isdecimal()
        and len(moment) < 12
        and abs(time.time() - int(moment)) < _OLDEST_SECONDS
    )
    return young and hmac.compare_digest(given.encode(), signature(secret, moment, request.body).encode())
