"""A client that asks for a code and redeems it."""

from __future__ import annotations

from authlib.integrations.requests_client import OAuth2Session

from iam.models import User
from iam.oauth.models import OAuthClient
from tests.iam.oauth.conftest import CALLBACK, Site

VERIFIER = "a-code-verifier-that-is-long-enough-for-rfc-7636-to-like"


def session(site: Site, client: OAuthClient | None = None, secret: str | None = None, **options: str) -> OAuth2Session:
    os_client = client or site.client
    return OAuth2Session(
        os_client.client_id, site.secret if secret is None else secret, scope="openid profile email users:read",
        redirect_uri=CALLBACK, code_challenge_method="S256", **options,
    )  # fmt: skip


def tokens_of(site: Site, oauth: OAuth2Session, user: User | None = None, nonce: str = "n-1") -> dict[str, str]:
    url, _ = oauth.create_authorization_url(f"{site.url}/oauth/authorize", code_verifier=VERIFIER, nonce=nonce)
    back = site.allow(site.browser(user), url)
    return oauth.fetch_token(f"{site.url}/oauth/token", authorization_response=back, code_verifier=VERIFIER)
