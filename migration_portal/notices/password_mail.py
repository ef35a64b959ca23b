"""Mail that holds a link to choose a password with: to whom it may go, and each recipient's link when it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from flags import homes
from flags.models import TenantHome
from iam import password_links, passwords
from iam.models import User
from migration_portal.notices import texts
from migration_portal.notices.models import Kind, Recipient, Text
from migration_portal.refusal import Refusal


class Unwanted(Exception):
    """The recipient is to get no link, and why."""


def require_fit(found: Sequence[Text], audience: Mapping[str, Any], *, subject: str) -> None:
    """Raises Refusal where texts hold a link and the audience is not of those who need one, or where no link leads anywhere."""
    if not texts.links(found):
        return
    if audience.get("passwords") != "legacy":
        raise Refusal(
            "A link to choose a password with goes to nobody who has a password that can be checked.", subject=subject,
            todo="Choose “only whose password legacy alone can check”, or another template.",
        )  # fmt: skip
    if any(text.kind == Kind.ANNOUNCEMENT for text in found):
        raise Refusal(
            "Who wants no announcements would not get it.",
            subject=subject,
            todo="Make the template one of another kind.",
        )
    if not settings.PUBLIC_URL:
        raise Refusal(
            "Nobody knows under which address users reach the IAM's pages.", subject=subject, todo="Set PUBLIC_URL."
        )


def link_of(to: Recipient) -> str:
    """The recipient's link as things are now, which may be weeks after they were listed. Raises Unwanted, DatabaseError."""
    user = User.objects.filter(pk=to.user).first()
    if user is None or not user.is_active:
        raise Unwanted("switched off, or gone from the IAM")
    if (user.email or "").lower() != to.email.lower():
        raise Unwanted("the address is another by now")
    if passwords.settled(user.hashed_password):
        raise Unwanted("the password can be checked by now")
    if homes.serving(str(user.tenant_id), write=False) != TenantHome.Home.IAM:
        raise Unwanted("the tenant is still at home in legacy")
    return url_of(user)


def url_of(user: User) -> str:
    """Where this user chooses a new password."""
    return f"{settings.PUBLIC_URL}{reverse('oauth_new_password')}?{urlencode({'token': password_links.token_of(user)})}"
