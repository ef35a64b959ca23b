"""Requests of old clients, and the legacy system behind them."""

from tests.legacy_compat.conftest import old, upstream  # noqa: F401
