"""Links by which somebody chooses a new password without the old one: nobody may be able to check it any more.

Such a link is mailed to the address that the IAM has of them. It is good for one password and for some days; it ends with any
other change of the password or of the address, with the next sign-in, and when the account is switched off.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from iam import policy
from iam.models import EndedSessions, User

_SALT = "iam.password_links"
_IN_TEXT = re.compile(r"(token=)[\w:%.=-]+")


class Dead(Exception):
    """The link is too old, was used, or is none of ours; or the user cannot sign in anyway."""


class Weak(Exception):
    """The password does not do, and why, as a sentence."""


def token_of(user: User) -> str:
    """What the link holds; it goes to the user's own address and nowhere else."""
    return signing.dumps([str(user.pk), _state(user)], salt=_SALT)


def user_of(token: str) -> User:
    """Whose link it is. Raises Dead."""
    return _owner(token, User.objects.all())


def _owner(token: str, users: QuerySet[User]) -> User:
    """Whose link it is, of these users as they are read. Raises Dead."""
    try:
        key, state = signing.loads(token, salt=_SALT, max_age=settings.PASSWORD_LINK_HOURS * 3600)
    except (signing.BadSignature, UnicodeError):
        raise Dead from None
    user = users.select_related("tenant").filter(pk=key, is_active=True, tenant__is_active=True).first()
    if user is None or not constant_time_compare(state, _state(user)):
        raise Dead
    if user.account_locked_until and user.account_locked_until > timezone.now():
        raise Dead
    return user


def use(token: str, password: str) -> User:
    """Set the password; sessions end with the old one. Raises Dead, Weak."""
    with transaction.atomic(using="iam"):
        user = _owner(token, User.objects.select_for_update(of=("self",)))  # nobody else uses it meanwhile
        if weakness := policy.of(user.tenant_id).weakness(password, user):
            raise Weak(weakness)
        if user.has_password(password):
            raise Weak("This is the password that you have: choose another one.")
        policy.set_password(user, password)
        user.save(update_fields=User.PASSWORD_FIELDS)
    return user


def hidden(text: str) -> str:
    """The text without what makes its links good."""
    return _IN_TEXT.sub(r"\1…", text)


@register(Tags.security, deploy=True)
def links_in_clear(**_: Any) -> list[CheckMessage]:
    """Whoever reads the address on its way chooses the password."""
    if not settings.PUBLIC_URL or urlsplit(settings.PUBLIC_URL).scheme == "https":
        return []
    what = "PUBLIC_URL is in clear: links by which passwords are chosen would be, too."
    return [Error(what, hint="Let it begin with https://.", id="iam.E003")]


def _state(user: User) -> str:
    """Follows from what ends a link, and does not tell it."""
    ended = EndedSessions.objects.filter(pk=user.pk).values_list("ended_at", flat=True).first()
    said = [user.pk, user.hashed_password, user.email, user.last_login, user.last_login_at, ended]
    return salted_hmac(_SALT, repr([str(each) for each in said]), algorithm="sha256").hexdigest()[:32]
