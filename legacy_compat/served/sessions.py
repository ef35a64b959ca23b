"""/api/v1/sessions: one's own. To delete one ends it, and what was issued with it: in the released service it ended nothing."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.utils import timezone

from iam.models import Session, User
from legacy_compat.call import LegacyCall
from legacy_compat.contracts import released
from legacy_compat.contracts.paging import Skipping
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served.access import one

_MOST_ACTIVE = 5
_LIFE = timedelta(hours=8)


def listed(call: LegacyCall, contract: Contract, user: User, wanted: Skipping) -> Answer:
    rows = _active(user).order_by("created_at", "id")[wanted.first : wanted.first + wanted.size]
    return Answer(200, [released.session(each) for each in rows])


def shown(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    session = _named(user, key)
    return Answer(200, released.session(session)) if session else released.NO_SESSION


def created(call: LegacyCall, contract: Contract, user: User) -> Answer:
    """One that signs nobody in, as the released service's."""
    if (
        _active(user).exclude(device_info__has_key="jti").count() >= _MOST_ACTIVE
    ):  # not those of signing in: they live for a week
        return released.TOO_MANY_SESSIONS
    session = Session.objects.create(
        user=user, session_id=secrets.token_urlsafe(32), device_info=None, ip_address=call.ip or None, user_agent=call.agent[:500],
        expires_at=timezone.now() + _LIFE,
    )  # fmt: skip
    return Answer(200, released.session(session))


def removed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    session = _named(user, key)
    if session is None:
        return released.NO_SESSION
    Session.objects.filter(pk=session.pk).update(is_active=False)
    return released.NO_CONTENT


def _active(user: User) -> Any:
    return Session.objects.filter(user=user, is_active=True, expires_at__gt=timezone.now())


def _named(user: User, key: str) -> Any:
    """By its id or by its session_id."""
    return one(_active(user), key) or _active(user).filter(session_id=key).first()
