"""Middleware before every page of the console: how long a session lasts, whether a second factor or a group is missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django_otp import user_has_device

from migration_portal import console
from migration_portal.console.confirming import SHOWN

_SINCE, _SEEN = "console_since", "console_seen"
_SEEN_EVERY = 60
"""Seconds: the session is written no more often."""


def doors(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/admin/"):
            return get_response(request)
        if not request.user.is_authenticated:
            return _whole_page() if "HX-Request" in request.headers else get_response(request)
        return (
            _too_long(request)
            or _second_factor(request)
            or _no_group(request)
            or _again(request)
            or get_response(request)
        )

    return middleware


def _too_long(request: HttpRequest) -> HttpResponse | None:
    """Sign out who has been signed in, or away, for too long. A page that asks for itself is nobody's doing."""
    now, session = time.time(), request.session
    if _SINCE not in session:
        session[_SINCE] = session[_SEEN] = session[SHOWN] = now
    polled = "HX-Request" in request.headers and request.method == "GET"
    idle = now - session[_SEEN] > settings.CONSOLE_IDLE_MINUTES * 60
    if idle or now - session[_SINCE] > settings.SESSION_COOKIE_AGE:
        logout(request)
        messages.info(
            request, "You were signed out: " + ("nothing was done for a while." if idle else "sign in anew each day.")
        )
        return (
            _whole_page()
            if polled
            else redirect(f"{reverse('admin:login')}?{urlencode({'next': request.get_full_path()})}")
        )
    if not polled and now - session[_SEEN] > _SEEN_EVERY:
        session[_SEEN] = now
    return None


def _whole_page() -> HttpResponse:
    """For a part of a page that asks for itself: the whole is loaded anew, and leads to the login."""
    return HttpResponse(headers={"HX-Refresh": "true"})


def _second_factor(request: HttpRequest) -> HttpResponse | None:
    if request.user.is_verified() or _free(request):  # type: ignore[union-attr]
        return None
    if not settings.CONSOLE_SECOND_FACTOR and not user_has_device(request.user):
        return None
    return redirect(f"{reverse('second_factor')}?{urlencode({'next': request.get_full_path()})}")


def _no_group(request: HttpRequest) -> HttpResponse | None:
    if request.user.is_superuser or not request.user.is_staff or request.user.get_all_permissions() or _free(request):
        return None
    answer = console.page(request, "portal/operators/no_group.html", "No group yet")
    answer.status_code = 403
    return answer.render()


def _again(request: HttpRequest) -> HttpResponse | None:
    """Who is an operator, and who may what, is changed by people who have just shown who they are."""
    watched = tuple(reverse("admin:app_list", args=[app]) for app in ("auth", "otp_totp"))
    if request.method != "POST" or not request.path.startswith(watched):
        return None
    return console.first_asked_again(request, back=request.path)


def _free(request: HttpRequest) -> bool:
    """Pages for everybody who is signed in."""
    names = (
        "second_factor",
        "admin:logout",
        "admin:login",
        "admin:password_change",
        "admin:password_change_done",
        "admin:jsi18n",
    )
    return request.path in {reverse(name) for name in names}
