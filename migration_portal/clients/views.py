"""The OAuth clients' pages: a list, a form to register one, and a page for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import DatabaseError, ProgrammingError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.urls import reverse

from iam.oauth.models import SCOPES, OAuthClient
from migration_portal import console, databases
from migration_portal.clients import register as verbs
from migration_portal.refusal import Refusal

_VIEW, _MANAGE = "inventory.view_preflight", "migration_portal.manage_clients"


def clients(request: HttpRequest) -> HttpResponse:
    console.need(request, _VIEW)
    trouble, rows = "", []
    try:
        rows = list(OAuthClient.objects.select_related("tenant").order_by("client_name"))
    except ProgrammingError:
        trouble = "The IAM's OAuth tables cannot be read. Apply the IAM schema first."
    except DatabaseError as error:
        trouble = databases.words(error)
    may = request.user.has_perm(_MANAGE)
    return console.page(request, "portal/clients/list.html", "OAuth clients", rows=rows, trouble=trouble, may=may)


def register(request: HttpRequest) -> HttpResponse:
    console.need(request, _MANAGE)
    if request.method != "POST":
        return _form(request, None, _blank())
    if again := console.first_asked_again(request, back=reverse("client_register")):
        return again
    return _submitted(request, None, lambda asked: verbs.register(asked, by=console.by(request)))


def client(request: HttpRequest, pk: Any) -> HttpResponse:
    """One client; posted to, it is changed."""
    chosen = get_object_or_404(OAuthClient, pk=pk)
    if request.method != "POST":
        console.need(request, _VIEW)
        return _form(request, chosen, _filled(chosen))
    console.need(request, _MANAGE)
    if again := console.first_asked_again(request, back=reverse("client", args=[pk])):
        return again

    def do(asked: dict[str, Any]) -> tuple[OAuthClient, str]:
        verbs.change(chosen, asked, by=console.by(request))
        messages.success(request, "Changed.")
        return chosen, ""

    return _submitted(request, chosen, do)


def renew(request: HttpRequest, pk: Any) -> HttpResponse:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    console.need(request, _MANAGE)
    if again := console.first_asked_again(request, back=reverse("client", args=[pk])):
        return again
    chosen = get_object_or_404(OAuthClient, pk=pk)
    try:
        secret = verbs.renew_secret(chosen, by=console.by(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        secret = ""
    return _form(request, chosen, _filled(chosen), secret=secret)


def switch(request: HttpRequest, pk: Any) -> HttpResponse:
    chosen, on = get_object_or_404(OAuthClient, pk=pk), request.POST.get("on") == "yes"
    return console.act(
        request, _MANAGE, lambda: verbs.switch(chosen, on=on, by=console.by(request), reason=console.reason(request)),
        back=reverse("client", args=[pk]), done="Switched on." if on else "Switched off; all its tokens have ended.",
    )  # fmt: skip


def _submitted(
    request: HttpRequest, chosen: OAuthClient | None, do: Callable[[dict[str, Any]], tuple[OAuthClient, str]]
) -> HttpResponse:
    asked = {name: request.POST.get(name, "") for name in ("client_name", "client_type", "redirect_uris", "tenant")}
    form = asked | {"grants": request.POST.getlist("grants"), "scopes": request.POST.getlist("scopes")}
    try:
        made, secret = do(form)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return _form(request, chosen, form, status=422)
    return _form(request, made, _filled(made), secret=secret)


def _form(
    request: HttpRequest, chosen: OAuthClient | None, form: dict[str, Any], *, secret: str = "", status: int = 200
) -> HttpResponse:
    title = chosen.client_name if chosen else "Register a client"
    page = console.page(
        request, "portal/clients/client.html", title, client=chosen, form=form, secret=secret, scopes=SCOPES,
        grants=verbs.GRANTS, types=OAuthClient.Type.choices, may=request.user.has_perm(_MANAGE),
    )  # fmt: skip
    page.status_code = status
    # A secret on the screen must not come back from the browser's cache.
    page["Cache-Control"] = "no-store"
    return page


def _blank() -> dict[str, Any]:
    return {
        "client_name": "", "client_type": OAuthClient.Type.CONFIDENTIAL, "redirect_uris": "", "tenant": "",
        "grants": ["authorization_code", "refresh_token"], "scopes": ["openid", "profile", "email"],
    }  # fmt: skip


def _filled(chosen: OAuthClient) -> dict[str, Any]:
    return {
        "client_name": chosen.client_name, "client_type": chosen.client_type, "tenant": str(chosen.tenant_id or ""),
        "redirect_uris": "\n".join(chosen.redirect_uris or []), "grants": chosen.allowed_grant_types,
        "scopes": chosen.allowed_scopes or [],
    }  # fmt: skip
