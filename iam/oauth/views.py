"""What people see: sign-in, consent, the getting-started page; and the endpoints that programs call."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import structlog
from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from authlib.oidc.core.errors import ConsentRequiredError, InteractionRequiredError, LoginRequiredError
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flags.evaluate import is_on
from iam import bearers, capabilities, throttles, totp
from iam.models import Session
from iam.oauth import server as oauth
from iam.oauth import social
from iam.oauth.browser import forget, remember, session_of, signed_in, strong_enough
from iam.oauth.models import (
    SCOPES,
    AccessToken,
    Grant,
    OAuthClient,
    RefreshToken,
    SocialConnection,
    may_act_for,
    spend,
    switched_on,
)
from iam.oauth.pages import NotHere, after, at_home, page, sign_in_first
from iam.oauth.wishes import Wishes
from iam.permissions import roles, subject
from iam.sign_in import Asked, CodeNeeded, PasswordDue, Refused, WeakPassword, WrongCredentials, sign_in

log = structlog.get_logger(__name__)


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in_page(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {
        "next": after(request),
        "providers": social.providers(),
        "name": request.POST.get("username", ""),
    }
    if request.method == "POST":
        try:
            return _sign_in(request, context)
        except NotHere:
            return page(request, "sign_in", context | {"error": "Your organization has not moved here yet."}, 409)
        except (DatabaseError, throttles.Unavailable, totp.Unreadable):
            log.exception("sign_in")
            sentence = "Sign-ins cannot be checked now: try again, or tell your operators."
            return page(request, "sign_in", context | {"error": sentence}, 503)
    return page(request, "sign_in", context)


def _sign_in(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    sent, ip = request.POST, str(request.META.get("REMOTE_ADDR", ""))
    if throttles.too_often(ip):
        return page(request, "sign_in", context | {"error": "Too many tries; wait a minute."}, 429)
    asked = Asked(
        sent.get("username", ""), sent.get("password", ""), sent.get("tenant", ""), ip=ip, code=sent.get("code"),
        new_password=sent.get("new_password"),
    )  # fmt: skip
    try:
        found = sign_in(asked, codes=True, admit=at_home)
    except WrongCredentials:
        return page(request, "sign_in", context | {"error": "The user name, password or code is wrong."}, 401)
    except CodeNeeded:
        return page(request, "sign_in", context | {"ask_code": True, "error": "Now the code, too."}, 401)
    except PasswordDue:
        more = {"ask_new": True, "ask_code": bool(asked.code), "error": "Your password has expired: choose a new one."}
        return page(request, "sign_in", context | more, 403)
    except WeakPassword as weak:
        more = {"ask_new": True, "ask_code": bool(asked.code), "error": str(weak)}
        return page(request, "sign_in", context | more, 422)
    except Refused:
        return page(request, "sign_in", context | {"error": "Your organization has been switched off."}, 403)
    try:
        remember(request, found.user, found.amr)
    except bearers.BadToken:  # the password has changed meanwhile
        return page(request, "sign_in", context | {"error": "The user name, password or code is wrong."}, 401)
    if social.waits(request):
        return redirect("social_confirm")
    return HttpResponseRedirect(after(request))


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    forget(request)
    social.forget_waiting(request)
    return redirect("oauth_sign_in")


@never_cache
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """Ask the signed-in user whether the client may; send the browser back with a code, or with the reason why not."""
    session = session_of(request)
    user = session.user if session else None
    try:
        grant = oauth.server().get_consent_grant(request, end_user=user)
        wishes = Wishes.read(request, grant)
        if session is None or user is None or wishes.sign_in_again(request, session):
            wishes.ask_nothing(LoginRequiredError)
            return sign_in_first(request)
        if not strong_enough(session):
            wishes.ask_nothing(InteractionRequiredError)
            return redirect(f"{reverse('oauth_second_factor')}?{urlencode({'next': request.get_full_path()})}")
        if not (switched_on(subject(user)) and "authorization_code" in capabilities.of(user.tenant_id).grants):
            sentence = "Signing in to other applications is not switched on for you yet."
            return page(request, "message", {"title": "Not yet", "message": sentence}, 403)
        at_home(user)
        if not may_act_for(grant.client, user, session.amr):
            sentence = "This application is for another organization than yours."
            return page(request, "message", {"title": "Not for you", "message": sentence}, 403)
        return _consent(request, grant, wishes, session)
    except NotHere:
        return page(
            request, "message", {"title": "Not yet", "message": "Your organization has not moved here yet."}, 409
        )
    except OAuth2Error as error:
        return _refused(request, error)
    except ValueError:  # Authlib's, about characters that an error's description cannot hold
        return page(
            request, "message", {"title": "This did not work", "message": "The application's request is garbled."}, 400
        )


def _consent(request: HttpRequest, grant: oauth.CodeGrant, wishes: Wishes, session: Session) -> HttpResponse:
    """Raises OAuth2Error where the client wants no page, and there is something to ask."""
    user, client = session.user, grant.client
    wanted = capabilities.of(user.tenant_id).scopes(client.get_allowed_scope(grant.request.payload.scope))
    before = Grant.objects.filter(user=user, client=client).first()
    if request.method == "POST":
        if "allow" not in request.POST:
            return _back(oauth.server().create_authorization_response(request, grant_user=None, grant=grant))
        Grant.objects.update_or_create(user=user, client=client, defaults={"scope": wanted})
    elif wishes.consent or before is None or not set(wanted.split()) <= set((before.scope or "").split()):
        wishes.ask_nothing(ConsentRequiredError)
        asked = [SCOPES[name] for name in wanted.split() if name in SCOPES]
        return page(request, "consent", {"client": client, "asked": asked, "user": user})
    wishes.answered(request)
    grant.session = session
    return _back(oauth.server().create_authorization_response(request, grant_user=user, grant=grant))


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    return oauth.respond(None, request)


@csrf_exempt
@require_POST
def revoke(request: HttpRequest) -> HttpResponse:
    return oauth.respond(oauth.Revocation.ENDPOINT_NAME, request)


@csrf_exempt
@require_POST
def introspect(request: HttpRequest) -> HttpResponse:
    return oauth.respond(oauth.Introspection.ENDPOINT_NAME, request)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def userinfo(request: HttpRequest) -> HttpResponse:
    """The claims about the user behind an access token with the scope `openid`."""
    kind, _, sent = request.headers.get("Authorization", "").partition(" ")
    found = AccessToken.of_user(sent.strip()) if kind.lower() == "bearer" else None
    if found is None or found.user is None:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return JsonResponse({"error": "invalid_token"}, status=401, headers=challenge)
    if "openid" not in found.get_scope().split():
        challenge = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="openid"'}
        return JsonResponse({"error": "insufficient_scope"}, status=403, headers=challenge)
    return JsonResponse({k: v for k, v in oauth.userinfo(found.user, found.get_scope()).items() if v is not None})


@never_cache
@require_GET
def welcome(request: HttpRequest) -> HttpResponse:
    """Getting started: who you are here, what you may, how you sign in, and who may act for you."""
    session = session_of(request)
    if session is None:
        return sign_in_first(request)
    if not strong_enough(session):
        return redirect("oauth_second_factor")
    user = session.user
    if not is_on("new_ui_enabled", subject(user)):
        sentence = "You are signed in. The new pages are not switched on for you yet; your applications work as before."
        return page(request, "message", {"title": f"Welcome, {user.full_name or user.username}", "message": sentence})
    connected = {one.provider: one for one in SocialConnection.objects.filter(user=user)}
    return page(request, "welcome", {
        "user": user, "roles": roles(user), "grants": Grant.objects.filter(user=user).select_related("client"),
        "sessions": Session.objects.filter(user=user, is_active=True).order_by("-last_activity")[:10],
        "providers": [(one, connected.get(one.name)) for one in social.providers()],
        "social": is_on(social.FLAG, subject(user)), "scopes": SCOPES,
    })  # fmt: skip


@never_cache
@require_POST
def withdraw(request: HttpRequest) -> HttpResponse:
    """Take back what a client was allowed; its tokens end."""
    user = signed_in(request)
    client = OAuthClient.objects.filter(client_id=request.POST.get("client", "")).first()
    if user is not None and client is not None:
        theirs = {"user": user, "client": client}
        spend(RefreshToken.objects.filter(**theirs))
        AccessToken.objects.filter(**theirs).update(expires_at=timezone.now())
        Grant.objects.filter(**theirs).delete()
    return redirect("welcome")


def _back(answer: HttpResponse) -> HttpResponse:
    """To the client, with the name of who answers: it may use several servers, and must not be led to another's (RFC 9207)."""
    if "Location" in answer:
        answer["Location"] = add_params_to_uri(answer["Location"], [("iss", settings.ISSUER)])
    return answer


def _refused(request: HttpRequest, error: OAuth2Error) -> HttpResponse:
    """Back to the client where its address is known to be its own; else it is said here, and nobody is sent anywhere."""
    if getattr(error, "redirect_uri", None):
        location = dict(error(error.redirect_uri)[2]).get("Location")
        if location:
            return _back(HttpResponseRedirect(location))
    sentence = f"The application requested something it is not allowed to do: {error.description or error.error}."
    return page(request, "message", {"title": "This did not work", "message": sentence}, 400)
