"""Flags by name, and a browser."""

from __future__ import annotations

from flags.models import Flag


def flag(name: str = "new_ui_enabled") -> Flag:
    return Flag.objects.get(name=name)
