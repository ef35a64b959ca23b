"""Calls of an old client."""

from __future__ import annotations

from typing import Any

from tests.legacy_compat.conftest import Old


def tokens(old: Old) -> dict[str, Any]:
    return old.login().json()
