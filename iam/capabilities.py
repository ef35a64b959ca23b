"""What a tenant may use: the system's offer, as its own row narrows it. Asked anew each time, so that what is off is off at once.

Values are JSON objects: `{"value": …}`, or a tenant's lifetimes as the migration writes them (`max_access_token_ttl_minutes` …).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from iam.models import User, UserCapability

OIDC_SCOPES = frozenset({"openid", "email", "phone", "address", "offline_access"})
"""What OpenID Connect Core §5.4 and §11 define belongs to its name space; `profile` is one of its own here."""
_LIFETIMES = {
    "access": ("max_access_token_ttl_minutes", timedelta(minutes=1)),
    "refresh": ("max_refresh_token_ttl_days", timedelta(days=1)),
    "id": ("max_id_token_ttl_minutes", timedelta(minutes=1)),
}
_DURATION = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SHORTEST = timedelta(minutes=1)
_GRANTS = ("authorization_code", "refresh_token", "client_credentials")


@dataclass(frozen=True)
class Capability:
    """One, as it is for a tenant; `because` says in a sentence what decided that. `own` is the tenant's value, if it has one."""

    key: str
    on: bool
    value: Mapping[str, Any]
    because: str
    default: Mapping[str, Any]
    own: Mapping[str, Any] | None = None


class Capabilities(dict[str, Capability]):
    """By key, of one tenant. One that the system has never heard of is on: there is nobody who could switch it off."""

    def on(self, key: str) -> bool:
        return key not in self or self[key].on

    def listed(self, key: str, default: tuple[str, ...]) -> frozenset[str]:
        """The value of a capability that is a list; nothing where it is off."""
        if not self.on(key):
            return frozenset()
        found = self[key].value.get("value") if key in self else None
        return frozenset(map(str, found)) if isinstance(found, list) else frozenset(default)

    @property
    def grants(self) -> frozenset[str]:
        """OAuth grant types that may be used: none without `oauth2`."""
        return self.listed("allowed_grant_types", _GRANTS) if self.on("oauth2") else frozenset()

    def scopes(self, asked: str) -> str:
        """Those of the scopes, in order, whose name space is allowed; without `oidc` nothing of OpenID Connect's."""
        spaces = self.listed("allowed_scope_namespaces", ("openid", "profile", "users", "clients"))
        oidc = self.on("oidc") and "openid" in spaces

        def allowed(scope: str) -> bool:
            return oidc if scope in OIDC_SCOPES else re.split("[:.]", scope)[0] in spaces

        return " ".join(filter(allowed, asked.split()))

    @property
    def pkce(self) -> bool:
        """Whether every client must use PKCE; a public one always must."""
        found = self.get("pkce_mandatory")
        return found is None or (found.on and found.value.get("value") is not False)

    @property
    def codes(self) -> bool:
        """Whether one-time codes can be enrolled for and shown."""
        return self.on("mfa") and self.on("totp")

    def longest(self, kind: str) -> timedelta | None:
        """How long a token of this kind (access, refresh, id) may live: the least of the system's limit and the tenant's own."""
        limit = self.get("max_token_ttl")
        if limit is None or not limit.on:
            return None
        system = _duration(limit.default.get("value")) if kind == "access" else None
        limits = [each for each in (system, self.own_longest(kind)) if each]
        return min(limits) if limits else None

    def own_longest(self, kind: str) -> timedelta | None:
        """The tenant's own limit alone."""
        limit = self.get("max_token_ttl")
        if limit is None or not limit.on or limit.own is None:
            return None
        name, unit = _LIFETIMES[kind]
        found = limit.own.get(name)
        # A boolean is an integer in Python; a limit of nothing would be no token at all.
        if isinstance(found, int) and not isinstance(found, bool) and found > 0:
            return max(min(found, 10**6) * unit, _SHORTEST)
        return _duration(limit.own.get("value")) if kind == "access" else None


def of(tenant: uuid.UUID | str | None) -> Capabilities:
    """Of this tenant; None for what the system offers to a client or user without one."""
    with connections["iam"].cursor() as cursor:
        cursor.execute(_EFFECTIVE, [str(tenant) if tenant else None])
        rows = cursor.fetchall()
    return Capabilities({
        key: _capability(key, offered, _json(default), enabled, _json(value))
        for key, offered, default, enabled, value in rows
    })  # fmt: skip


_EFFECTIVE = (
    "SELECT s.capability_key, s.enabled, s.default_value, t.enabled, t.value FROM system_capabilities AS s"
    " LEFT JOIN tenant_capabilities AS t ON t.capability_key = s.capability_key AND t.tenant_id = %s::uuid ORDER BY 1"
)


def _json(text: str | None) -> Any:
    """Django leaves jsonb as it was sent."""
    return None if text is None else json.loads(text)


def _capability(key: str, offered: bool, default: Any, enabled: bool | None, value: Any) -> Capability:
    default, own = default if isinstance(default, dict) else {}, value if isinstance(value, dict) else None
    if not offered:
        because = "The system does not offer it."
    elif enabled is False:
        because = "It is switched off for the tenant."
    elif own is not None:
        because = "The tenant has a value of its own."
    elif enabled:
        because = "The tenant has it, with the system's default."
    else:
        because = "The system offers it, and nothing is said about the tenant."
    return Capability(key, offered and enabled is not False, own if own is not None else default, because, default, own)


def _duration(text: Any) -> timedelta | None:
    """`15m`, `1h`, `30s`, `2d`; None for anything else."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    return max(timedelta(**{_UNITS[found[2]]: int(found[1])}), _SHORTEST) if found else None


def note_enrolment(user: User) -> None:
    """Write down who is enrolled, as the user's columns say it now."""
    now = timezone.now()
    for key, enrolled in (("mfa", user.mfa_enabled), ("totp", user.mfa_enabled and user.mfa_secret_encrypted)):
        theirs = UserCapability.objects.filter(user_id=user.pk, capability_key=key)
        data = {"has_secret": True} if key == "totp" and enrolled else None
        if theirs.exclude(enrolled=bool(enrolled)).update(
            enrolled=bool(enrolled), state_data=data, enrolled_at=now if enrolled else None
        ):
            continue
        if enrolled and not theirs.exists():
            UserCapability.objects.bulk_create(
                [UserCapability(user_id=user.pk, capability_key=key, enrolled=True, state_data=data, enrolled_at=now)],
                ignore_conflicts=True,
            )


def note_use(user: User, key: str) -> None:
    """The user has just shown it."""
    UserCapability.objects.filter(user_id=user.pk, capability_key=key).update(last_used_at=timezone.now())
