"""Who is signed in in a browser. The console's own sign-in is another one."""

from __future__ import annotations

from django.http import HttpRequest

from iam.models import User

_WHO = "iam_user"


def signed_in(request: HttpRequest) -> User | None:
    """The user, while they are active."""
    key = request.session.get(_WHO)
    return User.objects.filter(pk=key, is_active=True).first() if key else None


def remember(request: HttpRequest, user: User) -> None:
    """The browser is this user's from now on, under a new session key."""
    request.session.cycle_key()
    request.session[_WHO] = str(user.pk)


def forget(request: HttpRequest) -> None:
    request.session.pop(_WHO, None)
