"""What a legacy request says, read once."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest


def fields(request: HttpRequest) -> dict[str, Any]:
    """The body's fields: of a form, or of a JSON object; nothing else has any."""
    body = request.body  # before Django parses the form: a proxy needs the bytes as they came
    if request.content_type == "application/json":
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    return request.POST.dict()


def bearer(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
