"""What `manage.py check` has to say about roll-backs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from migration_portal.rollback.plans import TITLES


@register()
def actions_that_ask(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """A name with a slip would let an action run that nobody agreed to."""
    unknown = sorted(set(settings.ROLLBACK_ASKS) - set(TITLES))
    if not unknown:
        return []
    return [
        Error(
            f"ROLLBACK_ASKS names what is no action of a roll-back: {', '.join(unknown)}.",
            hint=f"Actions are: {', '.join(TITLES)}.", id="rollback.E001",
        )
    ]  # fmt: skip
