"""What clients find out by themselves: the provider's metadata (OpenID Connect Discovery, RFC 8414) and its public keys."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from iam import keys
from iam.oauth.models import SCOPES
from iam.tokens import STRONG, WEAK


def metadata(request: HttpRequest) -> JsonResponse:
    """The same document at both well-known addresses."""
    base = f"{settings.ISSUER}/oauth"
    return _public({
        "issuer": settings.ISSUER,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "userinfo_endpoint": f"{base}/userinfo",
        "revocation_endpoint": f"{base}/revoke",
        "introspection_endpoint": f"{base}/introspect",
        "jwks_uri": f"{settings.ISSUER}/.well-known/jwks.json",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [keys.ALGORITHM],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "consent"],
        "acr_values_supported": [WEAK, STRONG],
        "claims_supported": [
            "sub", "auth_time", "amr", "acr", "name", "preferred_username", "email", "email_verified", "tenant_id",
        ],
    })  # fmt: skip


def jwks(request: HttpRequest) -> JsonResponse:
    return _public(keys.published())


def _public(body: dict[str, object]) -> JsonResponse:
    answer = JsonResponse(body)
    answer["Access-Control-Allow-Origin"] = "*"
    answer["Cache-Control"] = "public, max-age=300"
    return answer
