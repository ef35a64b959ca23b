"""The page that a mailed link leads to: choose a new password."""

from __future__ import annotations

from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from iam import password_links, throttles
from iam.oauth.pages import NotHere, at_home, page

log = structlog.get_logger(__name__)


@never_cache
@require_http_methods(["GET", "POST"])
def new_password(request: HttpRequest) -> HttpResponse:
    """The link's token is all that is needed; a second factor is still asked for when its owner signs in."""
    token = request.POST.get("token") or request.GET.get("token", "")
    try:
        if throttles.too_often(str(request.META.get("REMOTE_ADDR", ""))):
            return _said(request, "Too many tries", "Wait a minute, then open the link again.", 429)
        user = password_links.user_of(token)
        at_home(user)
        return _choose(request, token, {"user": user, "token": token})
    except password_links.Dead:
        sentence = (
            "It was used, is too old, or your password has been changed since: sign in, or ask your administrators."
        )
        return _said(request, "This link is good no more", sentence, 410)
    except NotHere:
        sentence = "Your organization has not moved here yet: your password is changed where you sign in today."
        return _said(request, "Not yet", sentence, 409)
    except throttles.Unavailable:
        return _said(request, "Not now", "Passwords cannot be changed now: try again, or tell your operators.", 503)


def _choose(request: HttpRequest, token: str, context: dict[str, Any]) -> HttpResponse:
    """Raises Dead."""
    if request.method == "GET":
        return page(request, "new_password", context)
    chosen = request.POST.get("new_password", "")
    if chosen != request.POST.get("again", ""):
        return page(request, "new_password", context | {"error": "These are two different passwords."}, 422)
    try:
        user = password_links.use(token, chosen)
    except password_links.Weak as weak:
        return page(request, "new_password", context | {"error": str(weak)}, 422)
    log.info("password_set_by_link", user=str(user.pk))
    return _said(request, "Your new password is set", "Wherever you were signed in, you are signed out.", 200)


def _said(request: HttpRequest, title: str, message: str, status: int) -> HttpResponse:
    return page(request, "message", {"title": title, "message": message}, status)
