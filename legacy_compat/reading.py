"""What a legacy request says, read once."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest

MOST_BYTES = 1_000_000


def fields(request: HttpRequest) -> dict[str, Any]:
    """The body's fields: of a form, or of a JSON object; nothing else has any."""
    if int(request.headers.get("Content-Length") or 0) > MOST_BYTES:
        return {}  # no call of ours is that long: it is for the proxy to stream
    body = request.body  # before Django parses the form: a proxy needs the bytes as they came
    if request.content_type == "application/json":
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    return request.POST.dict()


def client_of(request: HttpRequest) -> str:
    """Which program is asking, as far as it says: by its header, else by the first word of its User-Agent."""
    named = request.headers.get(settings.LEGACY_CLIENT_HEADER, "").strip()
    return (named or request.headers.get("User-Agent", "").strip().partition(" ")[0] or "(unnamed)")[:100]


def bearer(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
