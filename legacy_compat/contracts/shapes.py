"""What both profiles share: an answer, the bytes of a JSON body, the time as the released service wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of one response."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body as the released service's JSON library wrote it: compact, not escaped beyond what JSON needs; bytes as is."""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


def moment(value: datetime | None) -> str | None:
    """2024-01-31T12:00:00Z, with microseconds where there are any."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def text(value: Any) -> str | None:
    return None if value is None else str(value)


TOO_MANY = Answer(
    429,
    {"error": "Too Many Requests", "message": "Rate limit exceeded. Please try again later.", "retry_after": 60},
    {"Retry-After": "60"},
)
