"""Signing in with a password, the same behind every door: same cost and same answer for every failure, one count of failures."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from django.db import connections, transaction
from django.db.models import Q
from django.utils import timezone

from flags import homes
from iam import at_login, capabilities, passwords, policy, throttles, totp
from iam.models import User

_CANDIDATES = 5
"""Users of one name in different tenants that a login without a tenant tries; beyond that it must name its tenant."""


_APPENDED = re.compile("(?s).+[0-9]{6}")


class WrongCredentials(Exception):
    """Unknown, wrong, inactive or locked: nobody is told which."""


class Refused(Exception):
    """The password is right; what else the user or the tenant asks for is missing."""


class TenantOff(Refused):
    """The tenant has been switched off."""


class CodeNeeded(Refused):
    """The user has enrolled for one-time codes, or the tenant wants them from everybody and this door takes none."""


class CodesOff(CodeNeeded):
    """The tenant wants codes, and nobody can enrol for them."""


class PasswordDue(Refused):
    """The password has expired, or was given for one use only: a new one must come with it."""


class WeakPassword(Refused):
    """The new password is not good enough; the message says why."""


@dataclass(frozen=True)
class Asked:
    """What came to the door. `ip` is the client's; `code` and `new_password` None where the door takes none or none was sent."""

    name: str
    password: str
    tenant: str = ""
    ip: str = ""
    code: str | None = None
    new_password: str | None = None


@dataclass(frozen=True)
class SignedIn:
    """The user, and how they showed who they are (RFC 8176)."""

    user: User
    amr: tuple[str, ...]


def sign_in(
    asked: Asked, *, codes: bool = False, strict: bool = True, admit: Callable[[User], object] = bool
) -> SignedIn:
    """The user behind a name (user name or e-mail, exactly as written) and password, in the tenant if one is named.

    A door that takes `codes` asks users who enrolled for one; a `strict` door obeys the tenant's policy, and where that wants a
    code, takes one that is appended to the password. Raises WrongCredentials, Refused, and whatever `admit` raises for a user
    who knows the password: before their policy is asked, or anything written. Raises throttles.Unavailable where only legacy knows
    the password, and does not answer.
    """
    users = candidates(asked.name, asked.tenant)
    appended = strict and not codes and not asked.code and _APPENDED.fullmatch(asked.password)
    shown = {user.pk: _read(asked, user) if appended else _plainly(asked, user) for user in users}
    fitting = [user for user in users if shown[user.pk] is not None]
    if not users:
        for _ in range(2 if appended else 1):
            passwords.verify_as_legacy(asked.password, None)
    # Two tenants, one name, one password: guessing would sign somebody into the wrong tenant.
    user = fitting[0] if len(fitting) == 1 else None
    if user is None or not _may_try(user, asked.ip):
        for right in fitting:
            passwords.as_if_wrong(asked.password, right.hashed_password)
        return _failed(users, asked)
    admit(user)
    asked = shown[user.pk] or asked
    amr: tuple[str, ...] = ("pwd",)
    rules = policy.of(user.tenant_id)
    wanted, enrolled = not codes and strict and rules.wants_codes, rules.asks_code(user)
    if wanted or (codes and enrolled):
        if not (enrolled and asked.code):
            raise CodeNeeded if rules.capabilities.codes else CodesOff
        if not totp.verify(user, asked.code):
            return _failed([user], asked)
        amr = ("pwd", "otp")
        capabilities.note_use(user, "totp")
    if strict and not rules.active:
        raise TenantOff
    if strict and policy.password_due(user):
        _renew(user, asked, rules)
    throttles.succeeded(str(user.pk), asked.ip)
    _signed_in(user, asked)
    return SignedIn(user, amr)


def _plainly(asked: Asked, user: User) -> Asked | None:
    """As it was asked, where the password is the user's: by its hash, or by legacy's word where only that can tell."""
    if user.has_password(asked.password):
        return asked
    return asked if _may_try(user, asked.ip) and at_login.knows(user, asked.password) else None


def _read(asked: Asked, user: User) -> Asked | None:
    """Where the door has no place for a code: the last six digits are one if one is due, or the password's own end.

    Both are tried of everybody, so that no time tells who has enrolled.
    """
    apart = replace(asked, password=asked.password[:-6], code=asked.password[-6:])
    with_code, whole = _plainly(apart, user), _plainly(asked, user)
    due = totp.enrolled(user) and policy.of(user.tenant_id).wants_codes
    return (with_code if due else None) or whole


def candidates(name: str, tenant: str) -> list[User]:
    """The users a login may mean."""
    if "\0" in name:  # no text in PostgreSQL holds it
        return []
    users = User.objects.filter(Q(username=name) | Q(email=name))
    if tenant:
        named = canonical(tenant)
        if not named:
            return []
        users = users.filter(tenant_id=named)
    return list(users[:_CANDIDATES])


def canonical(tenant: str) -> str:
    """The one way to write a tenant's id, out of the many that mean it (case, braces, urn:uuid:); empty if it is none."""
    try:
        return str(uuid.UUID(tenant.strip()))
    except ValueError:
        return ""


@dataclass(frozen=True)
class Meant:
    """Whom a login is about, for routing: ids, empty where several fit; `apart` when their tenants live in both systems."""

    tenant: str = ""
    user: str = ""
    apart: bool = False


def identify(name: str, tenant: str) -> Meant:
    """Read again by `sign_in`, once routing has waited for a tenant that is being moved: its users may have changed meanwhile."""
    users = candidates(name, tenant)
    user = str(users[0].pk) if len(users) == 1 else ""
    if tenant:
        return Meant(canonical(tenant), user)
    lives_in = {id: homes.of(id).home for id in sorted({str(one.tenant_id) for one in users})}
    if len(set(lives_in.values())) == 1:
        return Meant(next(iter(lives_in)), user)
    return Meant(apart=bool(users))


def _may_try(user: User, ip: str) -> bool:
    locked = user.account_locked_until is not None and user.account_locked_until > timezone.now()
    return bool(user.is_active) and not locked and not throttles.locked(str(user.pk), ip)


def _renew(user: User, asked: Asked, rules: policy.Policy) -> None:
    """Raises Refused unless a new password came along that is good enough."""
    if not asked.new_password:
        raise PasswordDue
    if weakness := rules.weakness(asked.new_password, user):
        raise WeakPassword(weakness)
    if asked.new_password == asked.password:
        raise WeakPassword("The new password is the old one.")
    policy.set_password(user, asked.new_password)
    user.save(update_fields=User.PASSWORD_FIELDS)


def _failed(users: list[User], asked: Asked) -> SignedIn:
    throttles.failed([str(user.pk) for user in users], asked.ip)
    raise WrongCredentials


def _signed_in(user: User, asked: Asked) -> None:
    now = timezone.now()
    before, after = user.hashed_password, user.hashed_password
    final, changed = homes.of(str(user.tenant_id)).final, {}
    if not passwords.readable(before):
        # Hashed by us: legacy's ways of writing a password do not count for it.
        after, changed = passwords.hashed(asked.password, final=final), {"last_password_change": now}
    elif final and passwords.outdated(before) and passwords.renewable(asked.password, before):
        after = passwords.hashed(asked.password, final=True)
    with transaction.atomic(using="iam"), connections["iam"].cursor() as cursor:
        # The trigger that ends sessions (iam/schema/007) heeds it: the password is the same.
        cursor.execute(_SAME_PASSWORD, ["yes"])
        # Not over a password that was changed meanwhile: tokens.begin finds that this one is not the user's any more.
        known = User.objects.filter(pk=user.pk, hashed_password=before)
        if known.update(last_login=now, last_login_at=now, hashed_password=after, **changed):
            user.hashed_password = after
        cursor.execute(_SAME_PASSWORD, [""])


_SAME_PASSWORD = "SELECT set_config('iam.same_password', %s, true)"  # noqa: S105 - no password
