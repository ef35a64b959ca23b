"""Showing once more who one is, before what is dangerous."""

from __future__ import annotations

import time
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

SHOWN = "console_shown"
"""In the session: when the operator last showed a password or a code."""


class ShowAgain(Exception):
    """The operator showed who they are too long ago for this."""


def require_shown(request: HttpRequest) -> None:
    """Raises ShowAgain where it is more than CONSOLE_CONFIRM_MINUTES ago."""
    if time.time() - request.session.get(SHOWN, 0) > settings.CONSOLE_CONFIRM_MINUTES * 60:
        raise ShowAgain


def ask_again(request: HttpRequest, *, back: str) -> HttpResponse:
    """To the page that asks who it is, and from there back."""
    messages.info(request, "Nothing has changed yet: show once more who you are, then do it again.")
    return redirect(f"{reverse('confirm')}?{urlencode({'next': back})}")


def first_asked_again(request: HttpRequest, *, back: str) -> HttpResponse | None:
    """The same, where it is due."""
    try:
        require_shown(request)
    except ShowAgain:
        return ask_again(request, back=back)
    return None
