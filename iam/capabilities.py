"""What a tenant may use: the system's offer, as its own row narrows it. Asked anew each time, so that what is off is off at once.

Values are JSON objects: `{"value": …}`, or a tenant's lifetimes as the migration writes them (`max_access_token_ttl_minutes` …).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
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
_MODEL_LIFE = timedelta(minutes=15)
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
        """The value of a capability that is a list: what both the system's and the tenant's own allow; nothing where it is off."""
        if not self.on(key):
            return frozenset()
        system = _list(self[key].default if key in self else {}, default)
        return system & _list(self[key].own or {}, system) if key in self else system

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
        """Whether every client must use PKCE, where the system or the tenant says so; a public one always must."""
        found = self.get("pkce_mandatory")
        if found is None or not found.on:
            return found is None
        return found.default.get("value") is not False or (found.own or {}).get("value") not in (None, False)

    @property
    def codes(self) -> bool:
        """Whether one-time codes can be enrolled for and shown."""
        return self.on("mfa") and self.on("totp")

    def longest(self, kind: str) -> timedelta | None:
        """How long a token of this kind (access, refresh, id) may live: the least of the system's limit and the tenant's own."""
        limit = self.get("max_token_ttl")
        if limit is None or not limit.on:
            return None
        system = None
        if kind == "access" and "value" in limit.default:
            system = _duration(limit.default["value"]) or _MODEL_LIFE  # what is no duration is not no limit
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


def _list(value: Mapping[str, Any], otherwise: Iterable[str]) -> frozenset[str]:
    """What is said, and is no list, allows nothing."""
    if "value" not in value:
        return frozenset(otherwise)
    found = value["value"]
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()


def fault(key: str, value: Mapping[str, Any]) -> str:
    """What is wrong with a value for this capability, as a sentence; empty when nothing is."""
    check = _SHAPES.get(key)
    if check is None:
        return "" if not value else "It has no value: it is on or off."
    return check(value)


def _lifetime_fault(value: Mapping[str, Any]) -> str:
    for name, found in value.items():
        if name == "value":
            if _duration(found) is None:
                return "A lifetime is a number and s, m, h or d, as 15m."
        elif name == "remember_me_enabled":
            if not isinstance(found, bool):
                return f"{name} is true or false."
        elif name not in _NUMBERS:
            return (
                f"A lifetime has no “{name[:40]}”; it has: value, remember_me_enabled, {', '.join(sorted(_NUMBERS))}."
            )
        elif isinstance(found, bool) or not isinstance(found, int) or not 0 < found <= 10**6:
            return f"{name} is a number from 1 to 1,000,000."
    return ""


def _list_fault(value: Mapping[str, Any], known: Iterable[str] = ()) -> str:
    found = value.get("value")
    if set(value) != {"value"} or not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return 'It is a list of words: {"value": ["…"]}.'
    unknown = sorted(set(found) - set(known)) if known else []
    return f"Nobody knows “{unknown[0][:40]}”; there are: {', '.join(known)}." if unknown else ""


def _switch_fault(value: Mapping[str, Any]) -> str:
    return "" if list(value) == ["value"] and isinstance(value["value"], bool) else 'It is {"value": true} or false.'


_NUMBERS = {name for name, _ in _LIFETIMES.values()} | {
    "remember_me_refresh_token_ttl_days", "remember_me_access_token_ttl_minutes",
}  # fmt: skip
_SHAPES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "max_token_ttl": _lifetime_fault, "allowed_grant_types": lambda value: _list_fault(value, _GRANTS),
    "allowed_scope_namespaces": _list_fault, "pkce_mandatory": _switch_fault,
}  # fmt: skip


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
