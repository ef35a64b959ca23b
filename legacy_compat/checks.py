"""What `manage.py check --deploy` has to say about the legacy endpoints."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security, deploy=True)
def upstream_without_its_secret(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Without the secret nobody can tell whose tokens the legacy system issued: they would end at each cut-over."""
    if not settings.LEGACY_UPSTREAM_URL or settings.LEGACY_JWT_SECRET != settings.SECRET_KEY:
        return []
    return [
        Warning(
            "LEGACY_UPSTREAM_URL is set, but LEGACY_JWT_SECRET is not.",
            hint="Set it to the secret with which the legacy system signs its tokens.", id="legacy_compat.W001",
        )
    ]  # fmt: skip
