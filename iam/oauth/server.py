"""The authorization server: which grants there are, and how codes and tokens are kept. The protocol itself is Authlib's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from authlib.integrations.django_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oidc.core import OpenIDCode, UserInfo
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from flags.decide import Subject
from iam import capabilities, keys, policy
from iam.models import Session, User
from iam.oauth.models import (
    AccessToken,
    AuthorizationCode,
    OAuthClient,
    RefreshToken,
    digest,
    end,
    may_act_for,
    spend,
    switched_on,
)
from iam.tokens import how

_METHODS = ["client_secret_basic", "client_secret_post", "none"]
_ACCESS_SECONDS = 900
_REFRESH = timedelta(days=30)


@cache
def server() -> AuthorizationServer:
    """The one server of this process."""
    made = Server(OAuthClient, AccessToken)
    made.register_grant(CodeGrant, [Challenge(required=True), OpenId(require_nonce=False)])
    made.register_grant(RefreshGrant)
    made.register_grant(ClientGrant)
    made.register_endpoint(Revocation)
    made.register_endpoint(Introspection)
    return made


def respond(name: str | None, request: HttpRequest) -> HttpResponse:
    """The answer of the token endpoint (`name` None), or of a named one; codes and tokens are locked while they are used."""
    if not _legible(request.headers.get("Authorization", "")):
        return JsonResponse({"error": "invalid_client"}, status=401, headers={"WWW-Authenticate": "Basic"})
    try:
        with transaction.atomic(using="iam"):
            if name is None:
                answer: HttpResponse = server().create_token_response(request)
            else:
                answer = server().create_endpoint_response(name, request)
    except OAuth2Error as error:  # before there is a grant that would answer for it
        return JsonResponse(dict(error.get_body()), status=error.status_code)
    return answer


def _legible(authorization: str) -> bool:
    """Basic credentials are UTF-8 without NUL, which no client's id or secret has."""
    kind, _, sent = authorization.partition(" ")
    if kind.lower() != "basic":
        return True
    try:
        return "\0" not in base64.b64decode(sent, validate=True).decode()
    except (binascii.Error, ValueError):
        return False


def userinfo(user: User, scope: str) -> UserInfo:
    """The claims about a user that these scopes cover."""
    asked = scope.split()
    found = UserInfo(sub=str(user.pk), tenant_id=str(user.tenant_id))
    if "profile" in asked:
        found |= {"name": user.full_name, "preferred_username": user.username, "picture": user.avatar_url}
    if "email" in asked:
        found |= {"email": user.email, "email_verified": bool(user.email_verified)}
    return found


class Server(AuthorizationServer):  # type: ignore[misc]
    def load_config(self, config: dict[str, Any]) -> None:
        lives = {
            "authorization_code": _ACCESS_SECONDS,
            "client_credentials": _ACCESS_SECONDS,
            "refresh_token": _ACCESS_SECONDS,
        }
        super().load_config({"refresh_token_generator": True, "token_expires_in": lives})

    def query_client(self, client_id: str) -> OAuthClient | None:
        if "\0" in client_id:  # no text in PostgreSQL holds it
            return None
        return OAuthClient.objects.filter(client_id=client_id, is_active=True).first()

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        now = timezone.now()
        about = {"client": request.client, "user": request.user, "scope": token.get("scope", ""), "created_at": now}
        if before := request.authorization_code or request.refresh_token:
            about |= {name: getattr(before, name) for name in ("authorization_id", "amr", "auth_time")}
        rules = policy.of(request.user.tenant_id) if request.user else None
        life = rules.access if rules else _capped(request.client, token["expires_in"])
        token["expires_in"] = int(life.total_seconds())
        if rules and "refresh_token" not in rules.capabilities.grants:
            token.pop("refresh_token", None)
        access = AccessToken.objects.create(token=digest(token["access_token"]), expires_at=now + life, **about)
        if "refresh_token" in token:
            RefreshToken.objects.create(
                token=digest(token["refresh_token"]),
                expires_at=now + (rules.refresh if rules else _REFRESH),
                access_token=access,
                **about,
            )


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    session: Session
    """The browser's: how and when the user showed who they are."""

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        asked, session = request.payload.data, self.session
        AuthorizationCode.objects.create(
            code=digest(code), client=request.client, user=request.user, redirect_uri=request.payload.redirect_uri,
            scope=request.scope, nonce=asked.get("nonce"), code_challenge=asked.get("code_challenge"),
            code_challenge_method=asked.get("code_challenge_method"), expires_at=timezone.now() + AuthorizationCode.LIFE,
            amr=session.amr, auth_time=session.auth_time,
        )  # fmt: skip

    def query_authorization_code(self, code: str, client: OAuthClient) -> AuthorizationCode | None:
        """A code that comes again was stolen from somebody: what it gave ends (RFC 6749 §4.1.2)."""
        _hold_user(AuthorizationCode.objects.filter(code=digest(code), client=client))
        found = AuthorizationCode.objects.select_for_update().filter(code=digest(code), client=client).first()
        if found is not None and found.used_at is not None:
            end(found.authorization_id)
            return None
        return found if found is not None and found.expires_at > timezone.now() else None

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """Marked, so that its second use is seen."""
        AuthorizationCode.objects.filter(pk=authorization_code.pk).update(used_at=timezone.now())

    def authenticate_user(self, authorization_code: AuthorizationCode) -> User | None:
        user = authorization_code.user
        if not authorization_code.code_challenge and capabilities.of(user.tenant_id).pkce:
            return None  # of a client without a tenant, which does not say so
        return _allowed(user, authorization_code.client, authorization_code.get_amr(), self.GRANT_TYPE)


class Challenge(CodeChallenge):  # type: ignore[misc]
    """PKCE, with S256 only, for every client where the capability `pkce_mandatory` says so, and always for public ones."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        asked, client = grant.request.payload.data, grant.client
        free = client.client_type == OAuthClient.Type.CONFIDENTIAL and not capabilities.of(client.tenant_id).pkce
        if free and not asked.get("code_challenge"):
            return
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            raise InvalidRequestError("A code_challenge with code_challenge_method=S256 is needed.")
        super().validate_code_challenge(grant, redirect_uri)


class OpenId(OpenIDCode):  # type: ignore[misc]
    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return AuthorizationCode.objects.filter(client__client_id=request.payload.client_id, nonce=nonce).exists()

    def get_client_algorithm(self, client: OAuthClient) -> str:
        return keys.ALGORITHM

    def get_encode_header(self, client: OAuthClient) -> dict[str, Any]:
        return {"alg": keys.ALGORITHM, "kid": keys.signing().kid}

    def resolve_client_private_key(self, client: OAuthClient) -> Any:
        return keys.signing()

    def get_compatible_claims(self, request: OAuth2Request) -> dict[str, Any]:
        claims: dict[str, Any] = super().get_compatible_claims(request)
        if limit := policy.of(request.user.tenant_id).capabilities.longest("id"):
            claims["exp"] = min(claims["exp"], claims["iat"] + int(limit.total_seconds()))
        return claims

    def get_client_claims(self, client: OAuthClient) -> dict[str, Any]:
        return {"iss": settings.ISSUER, "aud": [client.client_id]}

    def generate_user_info(self, user: User, scope: str) -> UserInfo:
        return userinfo(user, scope)


class RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]
    """Each refresh token is good once. One that comes again was stolen from somebody: all of the pair's tokens end."""

    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        _hold_user(RefreshToken.objects.filter(token=digest(refresh_token)))
        found = RefreshToken.objects.select_for_update(of=("self",)).filter(token=digest(refresh_token)).first()
        if found is not None and found.revoked_at is not None:
            end(found.authorization_id)
        return None if found is None or found.is_revoked() or found.is_expired() else found

    def authenticate_user(self, refresh_token: RefreshToken) -> User | None:
        user = refresh_token.user
        return _allowed(user, refresh_token.client, refresh_token.amr or (), self.GRANT_TYPE) if user else None

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        spend(RefreshToken.objects.filter(pk=refresh_token.pk))


class ClientGrant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def validate_token_request(self) -> None:
        super().validate_token_request()
        client = self.request.client
        if not switched_on(Subject(tenant=str(client.tenant_id or ""))):
            raise InvalidRequestError("OAuth is not switched on for this client's tenant yet.")
        if client.tenant_id and not policy.of(client.tenant_id).active:
            raise InvalidRequestError("This client's tenant is inactive.")
        wanted = self.request.payload.scope
        if wanted and client.get_allowed_scope(wanted) != " ".join(wanted.split()):
            raise InvalidScopeError()


class _Finds:
    """Any token by what was sent; the hint is only where to look first."""

    CLIENT_AUTH_METHODS = _METHODS

    def query_token(self, token: str, token_type_hint: str | None) -> AccessToken | RefreshToken | None:
        kinds = (AccessToken, RefreshToken)
        found = (kind.objects.filter(token=digest(token)).first() for kind in kinds)  # type: ignore[attr-defined]
        return next((one for one in found if one is not None), None)


class Revocation(_Finds, RevocationEndpoint):  # type: ignore[misc]
    def revoke_token(self, token: AccessToken | RefreshToken, request: OAuth2Request) -> None:
        if isinstance(token, RefreshToken):
            spend(RefreshToken.objects.filter(pk=token.pk))
        else:
            AccessToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())


class Introspection(_Finds, IntrospectionEndpoint):  # type: ignore[misc]
    """For clients that keep a secret, about tokens of their own tenant; of others it says nothing."""

    CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def check_permission(self, token: AccessToken | RefreshToken, client: OAuthClient, request: OAuth2Request) -> bool:
        return token.client_id == client.pk or (
            client.tenant_id is not None and client.tenant_id == token.client.tenant_id
        )

    def introspect_token(self, token: AccessToken | RefreshToken) -> dict[str, Any]:
        about = {"username": token.user.username, "sub": str(token.user_id)} if token.user else {}
        if token.user and token.auth_time:
            about |= how(token.amr or (), token.auth_time)
        return about | {
            "active": True, "client_id": token.client.client_id, "scope": token.get_scope(), "token_type": "Bearer",
            "iss": settings.ISSUER, "iat": int(token.created_at.timestamp()), "exp": int(token.expires_at.timestamp()),
        }  # fmt: skip


def _hold_user(found: QuerySet[Any]) -> None:
    """Let no change of the user's password or account commit before what is issued now, nor in between: it would not end it.

    The user first and the token after, as the trigger of such a change does (iam/schema/007): two orders would be a deadlock.
    """
    for user in found.values_list("user_id", flat=True):
        User.objects.select_for_update(no_key=True).filter(pk=user).first()


def _allowed(user: User, client: OAuthClient, amr: Sequence[str], grant: str) -> User | None:
    granted = grant in capabilities.of(user.tenant_id).grants
    return user if granted and may_act_for(client, user, amr) else None


def _capped(client: OAuthClient, seconds: int) -> timedelta:
    """The life of a token of a client that speaks for itself."""
    wanted = timedelta(seconds=seconds)
    return min(wanted, capabilities.of(client.tenant_id).longest("access") or wanted)
