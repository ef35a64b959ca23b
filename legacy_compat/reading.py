"""What a legacy request says, read once."""

from __future__ import annotations

import json
import re
from typing import Any

from django.conf import settings
from django.http import HttpRequest

MOST_BYTES = 1_000_000
_NO_TEXT = re.compile("[\ud800-\udfff]")


def fields(request: HttpRequest) -> dict[str, Any]:
    """The body's fields: of a form, or of a JSON object; nothing else has any. What is no text is left out."""
    if int(request.headers.get("Content-Length") or 0) > MOST_BYTES:
        return {}  # no call of ours is that long: it is for the proxy to stream
    body = request.body  # before Django parses the form: a proxy needs the bytes as they came
    if request.content_type == "application/json":
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            return {}
    else:
        found = request.POST.dict()
    return {name: value for name, value in found.items() if _is_text(value)} if isinstance(found, dict) else {}


def _is_text(value: Any) -> bool:
    """Half a surrogate pair is no text: such a field counts as missing."""
    return not isinstance(value, str) or not _NO_TEXT.search(value)


def client_of(request: HttpRequest) -> str:
    """Which program is asking, as far as it says: by its header, else by the first word of its User-Agent."""
    named = request.headers.get(settings.LEGACY_CLIENT_HEADER, "").strip()
    return (named or request.headers.get("User-Agent", "").strip().partition(" ")[0] or "(unnamed)")[:100]


def bearer(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
