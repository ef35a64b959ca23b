"""How Django connects to a database, as its settings want it."""

from __future__ import annotations

from typing import Any

import environ

_PINNED = (
    "-c DateStyle=ISO -c IntervalStyle=postgres -c default_transaction_isolation=read\\ committed"
    " -c default_transaction_read_only=off"
)
"""What a role or a database sets otherwise breaks what Django reads, or relies on."""


_UNACKNOWLEDGED_MS = 3000
"""A page that waits longer than that for a network that is gone looks broken itself."""


def django_database(url: str, connect_seconds: int) -> dict[str, Any]:
    """An entry of DATABASES."""
    options = {
        "application_name": "sigma-transit console", "connect_timeout": connect_seconds,
        "tcp_user_timeout": _UNACKNOWLEDGED_MS, "options": _PINNED,
    }  # fmt: skip
    return environ.Env.db_url_config(url, engine="config.postgres") | {
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }
