"""The page that a mailed link leads to: choose a new password."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from iam import password_links, throttles
from iam.oauth.pages import NotHere, at_home, page

log = structlog.get_logger(__name__)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_password(request: HttpRequest) -> HttpResponse:
    """The link's token is all that is needed; a second factor is still asked for when its owner signs in."""
    token = request.POST.get("token") or request.GET.get("token", "")
    try:
        user = password_links.user_of(token)
        at_home(user, write=request.method == "POST")
        return _choose(request, token, {"user": user, "token": token})
    except password_links.Dead:
        return _dead(request)
    except NotHere:
        sentence = "Your organization has not moved here yet: your password is changed where you sign in today."
        return _said(request, "Not yet", sentence, 409)
    except (DatabaseError, throttles.Unavailable):
        log.exception("new_password")
        return _said(request, "Not now", "Passwords cannot be changed now: try again, or tell your operators.", 503)


def _choose(request: HttpRequest, token: str, context: dict[str, Any]) -> HttpResponse:
    """Raises Dead, DatabaseError, Unavailable."""
    if request.method != "POST":
        return page(request, "new_password", context)
    chosen = request.POST.get("new_password", "")
    if chosen != request.POST.get("again", ""):
        return page(request, "new_password", context | {"error": "These are two different passwords."}, 422)
    try:
        user = password_links.use(token, chosen)
    except password_links.Weak as weak:
        return page(request, "new_password", context | {"error": str(weak)}, 422)
    throttles.succeeded(str(user.pk), _ip(request))  # wrong passwords before it lock nobody out
    log.info("password_set_by_link", user=str(user.pk))
    sentence = "Sign in with it; you have been signed out everywhere. A second factor is asked for as before."
    return _said(request, "Your new password is set", sentence, 200)


def _dead(request: HttpRequest) -> HttpResponse:
    """Whoever has a good link is counted nowhere; who guesses at them is."""
    try:
        if throttles.too_often(_ip(request)):
            return _said(request, "Too many tries", "Wait a minute, then open the link again.", 429)
    except throttles.Unavailable:
        pass  # nothing is given away
    sentence = (
        "It was used, is too old, or something about your account has changed: sign in, or ask your administrators."
    )
    return _said(request, "This link no longer works", sentence, 410)


def _ip(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _said(request: HttpRequest, title: str, message: str, status: int) -> HttpResponse:
    return page(request, "message", {"title": title, "message": message}, status)
