"""The second factor: enrol, show a code, recovery codes; and showing once more who one is."""

from __future__ import annotations

import base64
import time
from typing import Any, cast

import segno
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django_otp import devices_for_user, login, match_token, user_has_device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from iam import throttles
from migration_portal import console
from migration_portal.audit import chain
from migration_portal.console.confirming import SHOWN

RECOVERY_CODES = 10


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
        device = match_token(user, request.POST.get("code", "").replace(" ", ""))
        if device is not None:
            login(request, device)
            request.session[SHOWN] = time.time()
            chain.record("show_second_factor", of=user)
            return redirect(_after(request))
        context["error"] = "This code is wrong, was used already, or comes too soon after a wrong one."
    return console.page(request, "portal/operators/code.html", "One-time code", **context)


def _enrol(request: HttpRequest, user: User) -> HttpResponse:
    device, _ = TOTPDevice.objects.get_or_create(user=user, name="console", confirmed=False)
    context: dict[str, Any] = {"next": _after(request)}
    if request.method == "POST":
        if device.verify_token(request.POST.get("code", "").replace(" ", "")):
            device.confirmed = True
            device.save()
            login(request, device)
            request.session[SHOWN] = time.time()
            chain.record("enrol_second_factor", of=user)
            return _recovery_codes(request, user)
        context["error"] = "This is no code of the secret below."
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
        return _recovery_codes(request, user)
    return console.page(request, "portal/operators/manage.html", "Second factor", left=left)


def _recovery_codes(request: HttpRequest, user: User) -> HttpResponse:
    """New ones; those before are not good any more. They are shown once."""
    device, _ = StaticDevice.objects.get_or_create(user=user, name="recovery")
    device.token_set.all().delete()
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    for code in codes:
        device.token_set.create(token=code)
    chain.record("renew_recovery_codes", of=user, data={"count": len(codes)})
    return console.page(request, "portal/operators/recovery.html", "Recovery codes", codes=codes, next=_after(request))


@never_cache
def confirm(request: HttpRequest) -> HttpResponse:
    """Show once more who one is: by a code where one has enrolled, else by the password."""
    user = cast(User, request.user)
    by_code = user_has_device(user)
    context: dict[str, Any] = {"next": _after(request), "by_code": by_code}
    if request.method == "POST":
        sent = request.POST.get("shown", "")
        if throttles.too_many_guesses(f"operator:{user.pk}"):
            context["error"] = "Too many tries; wait a quarter of an hour."
        elif match_token(user, sent) if by_code else authenticate(request, username=user.get_username(), password=sent):
            request.session[SHOWN] = time.time()
            return redirect(_after(request))
        else:
            throttles.guessed(f"operator:{user.pk}")
            context["error"] = "This is wrong."
    return console.page(request, "portal/operators/confirm.html", "Is it you?", **context)


def _after(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if wanted and ours else reverse("admin:index")


def _base32(device: TOTPDevice) -> str:
    return base64.b32encode(device.bin_key).decode()
