"""How Django connects to a database, as its settings want it."""

from __future__ import annotations

from typing import Any

import environ

_PINNED = (
    "-c DateStyle=ISO -c IntervalStyle=postgres -c default_transaction_isolation=read\\ committed"
    " -c default_transaction_read_only=off"
)
"""What a role or a database sets otherwise breaks what Django reads, or relies on."""


def django_database(url: str) -> dict[str, Any]:
    """An entry of DATABASES."""
    return environ.Env.db_url_config(url) | {
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"application_name": "sigma-transit console", "connect_timeout": 5, "options": _PINNED},
    }
