"""What a tenant asks of its users: the settings that came with it from the legacy system, obeyed at every door."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.password_validation import CommonPasswordValidator, UserAttributeSimilarityValidator
from django.core.exceptions import ValidationError as Invalid
from django.utils import timezone

from iam import capabilities, totp
from iam.models import Tenant, TenantSettings, User

_MOST_CHARACTERS = 1024
_LONGEST_DAYS = 365 * 100
_CLASSES = {
    "require_uppercase": ("an upper-case letter", str.isupper), "require_lowercase": ("a lower-case letter", str.islower),
    "require_numbers": ("a digit", str.isdigit), "require_special_chars": ("a special character", lambda c: not c.isalnum()),
}  # fmt: skip
_COMMON = CommonPasswordValidator()
_SIMILAR = UserAttributeSimilarityValidator(("username", "email", "full_name"), max_similarity=0.7)


@dataclass(frozen=True)
class Policy:
    """Of one tenant. One without settings of its own wants passwords of eight characters (NIST SP 800-63B) and nothing more."""

    active: bool
    settings: TenantSettings
    tenant: str = ""

    @cached_property
    def capabilities(self) -> capabilities.Capabilities:
        """What the tenant may use: read when it matters."""
        return capabilities.of(self.tenant or None)

    @property
    def access(self) -> timedelta:
        """How long our own access tokens live."""
        return self._capped("access", timedelta(minutes=self.settings.access_token_ttl_minutes or 15))

    @property
    def refresh(self) -> timedelta:
        """How long a session of our own lives."""
        return self._capped("refresh", timedelta(days=self.settings.refresh_token_ttl_days or 30))

    def _capped(self, kind: str, wanted: timedelta) -> timedelta:
        return min(wanted, self.capabilities.longest(kind) or wanted)

    @property
    def wants_codes(self) -> bool:
        """Whether the tenant wants a second factor from everybody: not while MFA is switched off for it."""
        return bool(self.settings.mfa_required) and self.capabilities.on("mfa")

    def asks_code(self, user: User) -> bool:
        """Whether the user has enrolled for one-time codes, and these can be checked."""
        return totp.enrolled(user) and self.capabilities.codes

    def enough(self, user: User, amr: Sequence[str]) -> bool:
        """Whether the user has shown as much as they or their tenant ask for."""
        return "otp" in amr or not (self.wants_codes or self.asks_code(user))

    def weakness(self, password: str, user: User) -> str:
        """What is wrong with a new password, as a sentence; empty when nothing is."""
        least = self.settings.min_password_length or 12
        if len(password) < least:
            return f"A password of this tenant has at least {least} characters."
        if len(password) > _MOST_CHARACTERS or "\0" in password:
            return f"A password has at most {_MOST_CHARACTERS} characters, and no NUL."
        if any("\ud800" <= character <= "\udfff" for character in password):
            return "A password is made of whole characters."
        for name, (what, found) in _CLASSES.items():
            if getattr(self.settings, name) and not any(map(found, password)):
                return f"A password of this tenant has {what}."
        try:
            _COMMON.validate(password)
            _SIMILAR.validate(password, user)  # type: ignore[arg-type]
        except Invalid as error:
            return str(error.messages[0])
        return ""

    def expiry(self) -> datetime | None:
        """When a password that is set now must be changed."""
        days = self.settings.password_expiry_days
        return timezone.now() + timedelta(days=min(days, _LONGEST_DAYS)) if days else None


def basic() -> Policy:
    """Of a tenant without settings."""
    return Policy(active=True, settings=TenantSettings(min_password_length=8))


def of(tenant: uuid.UUID | str) -> Policy:
    """The tenant's policy as it stands now."""
    found = Tenant.objects.filter(pk=tenant).select_related("tenantsettings").first()
    settings: Any = getattr(found, "tenantsettings", None)
    return Policy(bool(found and found.is_active), settings or basic().settings, str(tenant))


def password_due(user: User) -> bool:
    """Whether the user must choose a new password before anything else."""
    expires = user.password_expires_at
    return bool(user.require_password_change) or (expires is not None and expires <= timezone.now())


def set_password(user: User, password: str) -> None:
    """Not saved yet: User.PASSWORD_FIELDS are changed. The password is `weakness`-free, the caller has asked."""
    user.set_password(password)
    user.require_password_change, user.password_expires_at = False, of(user.tenant_id).expiry()
