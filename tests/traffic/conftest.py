"""Requests of old clients."""

from tests.legacy_compat.conftest import old  # noqa: F401
