"""Servers that do not answer. A page opens several sessions: it must not wait for a silent server with each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import ConnectionTimeout

_SECONDS = 5.0
_silent: dict[str, tuple[float, str]] = {}
"""Until when this process does not ask a server again, and what was said of it."""


@contextmanager
def waited_for_once(server: str) -> Iterator[None]:
    """Connecting to it. Raises ConnectionTimeout at once where the server has kept silent a moment ago."""
    until, said = _silent.get(server, (0.0, ""))
    if time.monotonic() < until:
        raise ConnectionTimeout(said)
    try:
        yield
    except ConnectionTimeout as error:
        _silent[server] = time.monotonic() + _SECONDS, str(error)
        raise
