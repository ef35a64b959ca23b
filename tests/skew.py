"""Processes whose clock is wrong, where libfaketime is installed."""

from __future__ import annotations

import glob

import pytest

_LIBRARY = next(iter(sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))), "")
installed = pytest.mark.skipif(not _LIBRARY, reason="libfaketime is not installed")


def skewed(seconds: float) -> dict[str, str]:
    """The environment of a process whose clock is so many seconds fast; the right one where there is no library."""
    if not _LIBRARY:
        return {}
    return {"LD_PRELOAD": _LIBRARY, "FAKETIME": f"{seconds:+.0f}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
