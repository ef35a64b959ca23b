"""What no log line may hold: query strings (codes, client secrets, licence keys) and the licence key in a path."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

_KEY = re.compile(r"(licenses/validate/)[^\s?\"']+")
_QUERY = re.compile(r"(\s|^)(/[^\s?]*)\?\S+")
_TEXTS = ("event", "request", "error", "exception")


def redact(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every line passes it, our own and those of libraries."""
    for field in _TEXTS:
        if isinstance(value := event.get(field), str):
            event[field] = _QUERY.sub(r"\1\2?…", _KEY.sub(r"\1…", value))
    return event
