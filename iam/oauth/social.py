"""Signing in with Google, GitHub or any OpenID Connect provider. Who somebody is there counts once they linked it here.

An account is never found by its e-mail: anyone who controls that e-mail at a provider would own the account here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flags.evaluate import is_on
from iam import bearers, policy
from iam.models import ExternalIdentity, User
from iam.oauth.browser import remember, signed_in
from iam.oauth.models import SocialConnection
from iam.oauth.pages import NotHere, at_home, page
from iam.permissions import subject

log = structlog.get_logger(__name__)
FLAG = "social_login_enabled"
_SHOWN = ("fed",)
"""What another provider's word is (RFC 8176's registry has no name for it; this one is Microsoft's)."""
_WAITING, _WAITS_SECONDS = "social_waiting", 600
_GITHUB: dict[str, Any] = {
    "title": "GitHub", "authorize_url": "https://github.com/login/oauth/authorize",
    "access_token_url": "https://github.com/login/oauth/access_token", "api_base_url": "https://api.github.com/",
    "scope": "read:user",
}  # fmt: skip
_GOOGLE: dict[str, Any] = {
    "title": "Google", "server_metadata_url": "https://accounts.google.com/.well-known/openid-configuration",
}  # fmt: skip
_KNOWN = {"google": _GOOGLE, "github": _GITHUB}


@dataclass(frozen=True)
class Provider:
    """One that is configured: its name in addresses, and its title on buttons."""

    name: str
    title: str


@dataclass(frozen=True)
class Profile:
    """Who somebody is there. `id` never changes; the rest is for people to read."""

    id: str
    username: str = ""
    email: str = ""
    name: str = ""


def providers() -> list[Provider]:
    """Those with a client id, as SOCIAL_PROVIDERS names them."""
    return [Provider(name, _settings(name)["title"]) for name in settings.SOCIAL_PROVIDERS]


@never_cache
@require_GET
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Send the browser to the provider."""
    try:
        answer: HttpResponse = _client(name).authorize_redirect(request, _callback(name))
    except (OAuthError, requests.RequestException) as error:
        return _failed(request, name, error)
    return answer


@never_cache
@require_GET
def callback(request: HttpRequest, name: str) -> HttpResponse:
    """The browser is back: sign in the user who linked the account, link it to the signed-in user, or ask for a sign-in first."""
    try:
        profile = _profile(name, request)
    except (OAuthError, requests.RequestException, KeyError) as error:
        return _failed(request, name, error)
    known, here = _whose(name, profile.id), signed_in(request)
    if known is not None and here is not None and known.pk != here.pk:
        return _say(request, "This account belongs to somebody else here. Sign out and in again with it.", 409)
    if known is not None:
        if not known.is_active or not is_on(FLAG, subject(known)):
            return _say(request, "Signing in this way is not switched on for you. Use your password.", 403)
        try:
            at_home(known)
        except NotHere:
            return _say(request, "Your organization has not moved here yet.", 409)
        if not policy.of(known.tenant_id).enough(known, _SHOWN):
            return _say(request, "Your account asks for a one-time code: sign in with your password and a code.", 403)
        try:
            remember(request, known, _SHOWN)
        except bearers.BadToken:
            return _say(request, "Your account has just changed. Try again.", 409)
        return redirect("welcome")
    request.session[_WAITING] = {"provider": name, "since": time.time(), **profile.__dict__}
    if here is not None:
        return redirect("social_confirm")
    return redirect(f"{reverse('oauth_sign_in')}?linking={name}")


def _whose(provider: str, account: str) -> User | None:
    """Whose account elsewhere it is: linked here, or brought along with the user from legacy. Nobody's where it is of several."""
    linked = SocialConnection.objects.filter(provider=provider, provider_user_id=account).select_related("user").first()
    if linked is not None:
        return linked.user
    identities = ExternalIdentity.objects.filter(kind="social", provider=provider, external_id=account)
    users = User.objects.filter(pk__in=identities.values("user_id"))[:2]
    return users[0] if len(users) == 1 else None


def waits(request: HttpRequest) -> bool:
    """Whether an account waits in this browser's session to be linked; not for long, somebody else may sit here next."""
    waiting = request.session.get(_WAITING)
    if waiting is not None and time.time() - waiting.get("since", 0) > _WAITS_SECONDS:
        forget_waiting(request)
    return _WAITING in request.session


def forget_waiting(request: HttpRequest) -> None:
    request.session.pop(_WAITING, None)


@never_cache
@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask who signed in whether the account that waits is theirs: it may be that of whom used this browser before."""
    user = signed_in(request)
    if user is None or not waits(request):
        return redirect("welcome")
    waiting = request.session[_WAITING]
    if request.method == "POST":
        if "link" in request.POST and is_on(FLAG, subject(user)):
            _link(user, waiting)
        forget_waiting(request)
        return redirect("welcome")
    shown = waiting["username"] or waiting["email"] or waiting["name"] or waiting["id"]
    title = _settings(waiting["provider"])["title"]
    return page(request, "link", {"account": shown, "provider": title, "user": user})


def _link(user: User, waiting: dict[str, Any]) -> None:
    try:
        with transaction.atomic(using="iam"):
            SocialConnection.objects.create(
                user=user, provider=waiting["provider"], provider_user_id=waiting["id"],
                provider_username=waiting["username"], provider_email=waiting["email"], provider_name=waiting["name"],
            )  # fmt: skip
    except IntegrityError:
        log.warning("social_linked_meanwhile", provider=waiting["provider"])


@never_cache
@require_POST
def unlink(request: HttpRequest, name: str) -> HttpResponse:
    if (user := signed_in(request)) is not None:
        SocialConnection.objects.filter(user=user, provider=name).delete()
    return redirect("welcome")


def _profile(name: str, request: HttpRequest) -> Profile:
    client = _client(name)
    token = client.authorize_access_token(request)
    if "userinfo" in token:
        found = token["userinfo"]
        return Profile(
            str(found["sub"]), found.get("preferred_username", ""), found.get("email", ""), found.get("name", "")
        )
    answer = client.get("user", token=token, timeout=10)
    answer.raise_for_status()
    found = answer.json()
    return Profile(str(found["id"]), found.get("login") or "", found.get("email") or "", found.get("name") or "")


def _settings(name: str) -> dict[str, Any]:
    if name not in settings.SOCIAL_PROVIDERS:
        raise Http404
    return {"title": name.title(), **_KNOWN.get(name, {}), **settings.SOCIAL_PROVIDERS[name]}


def _client(name: str) -> Any:
    return _registered(name, tuple(sorted(_settings(name).items())))


@cache
def _registered(name: str, about: tuple[tuple[str, str], ...]) -> Any:
    found = dict(about)
    scope = found.pop("scope", "openid email profile")
    found.pop("title")
    keep = {"scope": scope, "timeout": 10}
    if "server_metadata_url" in found:
        keep["code_challenge_method"] = "S256"
    return OAuth().register(name, client_kwargs=keep, **found)


def _callback(name: str) -> str:
    return f"{settings.ISSUER}{reverse('social_callback', args=[name])}"


def _failed(request: HttpRequest, name: str, error: Exception) -> HttpResponse:
    log.warning("social_failed", provider=name, error=f"{type(error).__name__}: {error}"[:200])
    return _say(request, "The other side did not answer as it should. Try again, or use your password.", 502)


def _say(request: HttpRequest, message: str, status: int) -> HttpResponse:
    return page(request, "message", {"title": "This did not work", "message": message}, status)
