"""The page that asks for more than a password: enrolling for one-time codes, or showing one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import segno
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from iam import policy, throttles, totp
from iam.models import Session
from iam.oauth.browser import session_of, strong_enough
from iam.oauth.pages import NotHere, after, at_home, page, sign_in_first

_FRESH = timedelta(minutes=15)


@never_cache
@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Enrol for one-time codes, or show one: what the user or the tenant asks for beyond a password."""
    session = session_of(request)
    if session is None:
        return sign_in_first(request)
    if strong_enough(session):
        return HttpResponseRedirect(after(request))
    if not policy.of(session.user.tenant_id).capabilities.codes:
        sentence = (
            "Your organization wants a second factor, and one-time codes are switched off: ask its administrators."
        )
        return page(request, "message", {"title": "Not now", "message": sentence}, 403)
    if not totp.enrolled(session.user) and timezone.now() - session.auth_time > _FRESH:
        return sign_in_first(request)  # a browser that was left alone gets nobody a second factor
    try:
        at_home(session.user)
        return _ask(request, session)
    except NotHere:
        return page(
            request, "message", {"title": "Not yet", "message": "Your organization has not moved here yet."}, 409
        )
    except (throttles.Unavailable, totp.Unreadable):
        sentence = "One-time codes cannot be checked now: tell your operators."
        return page(request, "message", {"title": "Not now", "message": sentence}, 503)


def _ask(request: HttpRequest, session: Session) -> HttpResponse:
    user = session.user
    context: dict[str, Any] = {"next": after(request), "enrolled": totp.enrolled(session.user)}
    status = 200
    if request.method == "POST":
        if throttles.too_often(str(request.META.get("REMOTE_ADDR", ""))):
            return page(request, "second_factor", context | {"error": "Too many tries; wait a minute."}, 429)
        code = request.POST.get("code", "")
        if totp.verify(user, code) if context["enrolled"] else totp.confirmed(user, session.session_id, code):
            session.strengthen("otp")
            return HttpResponseRedirect(after(request))
        context["error"], status = "This code is wrong, or was used already.", 400
    if not context["enrolled"]:
        secret = totp.waiting(user, session.session_id)
        context |= {"secret": secret, "picture": segno.make(totp.address(user, secret)).svg_inline(scale=5, border=2)}
    return page(request, "second_factor", context, status)
