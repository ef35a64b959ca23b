"""The second factor: enrol, show a code, recovery codes; and showing once more who one is."""

from __future__ import annotations

import base64
import contextlib
import time
from typing import Any, cast
from urllib.parse import urlencode

import segno
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_otp import devices_for_user, login, user_has_device
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from iam import throttles
from iam.oauth.browser import safe_next
from migration_portal import console
from migration_portal.audit import chain
from migration_portal.console.confirming import SHOWN

RECOVERY_CODES = 10
_CODES = "console_recovery_codes"


@never_cache
def second_factor(request: HttpRequest) -> HttpResponse:
    """Enrol, or show a code; verified, see what there is and change it."""
    user = cast(User, request.user)
    if request.user.is_verified():  # type: ignore[union-attr]
        return _manage(request, user)
    if user_has_device(user):
        return _show(request, user)
    return _enrol(request, user)


def _show(request: HttpRequest, user: User) -> HttpResponse:
    context: dict[str, Any] = {"next": _after(request)}
    if request.method == "POST":
        device = _matching(user, request.POST.get("code", ""))
        if device is not None:
            login(request, device)
            request.session[SHOWN] = time.time()
            chain.record("show_second_factor", of=user)
            return HttpResponseRedirect(_after(request))
        context["error"] = "This code is wrong, was used already, or comes too soon after a wrong one."
    return console.page(request, "portal/operators/code.html", "One-time code", **context)


def _matching(user: User, code: str) -> Device | None:
    """The device whose code this is. An authenticator's six digits are not tried as recovery codes, nor count against them."""
    code = "".join(code.split()).lower()
    kind = TOTPDevice if code.isdigit() and len(code) == 6 else StaticDevice
    with transaction.atomic():
        for device in kind.objects.select_for_update().filter(user=user, confirmed=True):
            if device.verify_token(code):
                for other in devices_for_user(user):
                    other.throttle_reset()
                return device
    return None


def _enrol(request: HttpRequest, user: User) -> HttpResponse:
    if again := console.first_asked_again(request, back=reverse("second_factor")):
        return again
    waiting = TOTPDevice.objects.filter(user=user, name="console", confirmed=False)
    if request.method != "POST":
        waiting.delete()  # who saw an earlier secret does not know this one
    device, _ = waiting.get_or_create(defaults={"user": user, "name": "console", "confirmed": False})
    context: dict[str, Any] = {"next": _after(request)}
    if request.method == "POST":
        if device.verify_token("".join(request.POST.get("code", "").split())):
            device.confirmed = True
            device.save()
            login(request, device)
            request.session[SHOWN] = time.time()
            chain.record("enrol_second_factor", of=user)
            return _renew(request, user)
        context["error"] = "This is no code of the secret below, or it comes too soon after a wrong one."
    context |= {"picture": segno.make(device.config_url).svg_inline(scale=5, border=2), "secret": _base32(device)}
    return console.page(request, "portal/operators/enrol.html", "Set up one-time codes", **context)


def _manage(request: HttpRequest, user: User) -> HttpResponse:
    left = StaticToken.objects.filter(device__user=user).count()
    if request.method == "POST":
        if again := console.first_asked_again(request, back=reverse("second_factor")):
            return again
        if "remove" in request.POST:
            for device in devices_for_user(user, confirmed=None):
                device.delete()
            chain.record("remove_second_factor", of=user)
            return redirect("second_factor")
        return _renew(request, user)
    required = settings.CONSOLE_SECOND_FACTOR
    return console.page(request, "portal/operators/manage.html", "Second factor", left=left, required=required)


def _renew(request: HttpRequest, user: User) -> HttpResponse:
    """New recovery codes; those before are not good any more."""
    device, _ = StaticDevice.objects.get_or_create(user=user, name="recovery")
    device.token_set.all().delete()
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    for code in codes:
        device.token_set.create(token=code)
    chain.record("renew_recovery_codes", of=user, data={"count": len(codes)})
    request.session[_CODES] = codes
    return redirect(f"{reverse('recovery_codes')}?{urlencode({'next': _after(request)})}")


@never_cache
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Those that were just made, once: a page that is loaded again must not make others."""
    codes = request.session.pop(_CODES, None)
    if not codes:
        return redirect("second_factor")
    return console.page(request, "portal/operators/recovery.html", "Recovery codes", codes=codes, next=_after(request))


@never_cache
def confirm(request: HttpRequest) -> HttpResponse:
    """Show once more who one is: by a code where one has enrolled, else by the password."""
    user = cast(User, request.user)
    by_code = user_has_device(user)
    context: dict[str, Any] = {"next": _after(request), "by_code": by_code}
    if request.method == "POST":
        sent = request.POST.get("shown", "")
        guesses, often = f"operator:{user.pk}", False
        with contextlib.suppress(throttles.Unavailable):  # without Redis operators are needed most
            often = throttles.too_many_guesses(guesses)
        if often:
            context["error"] = "Too many tries; wait a quarter of an hour."
        elif _matching(user, sent) if by_code else authenticate(request, username=user.get_username(), password=sent):
            request.session[SHOWN] = time.time()
            return HttpResponseRedirect(_after(request))
        else:
            with contextlib.suppress(throttles.Unavailable):
                throttles.guessed(guesses)
            context["error"] = "This is wrong."
    return console.page(request, "portal/operators/confirm.html", "Is it you?", **context)


def _after(request: HttpRequest) -> str:
    return safe_next(request, reverse("admin:index"))


def _base32(device: TOTPDevice) -> str:
    return base64.b32encode(device.bin_key).decode()
