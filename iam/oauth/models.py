"""OAuth's tables: clients, codes, tokens, what users granted, and their accounts elsewhere. Secrets are stored as hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin
from django.db import models
from django.utils import timezone

from flags import homes
from flags.decide import Subject
from flags.evaluate import is_on
from flags.models import TenantHome
from iam import capabilities, policy
from iam.models import IamModel, Tenant, User
from iam.permissions import subject
from iam.tokens import how

FLAG = "oauth2_enabled"

SCOPES = {
    "openid": "know who you are",
    "profile": "see your name and user name",
    "email": "see your e-mail address",
    "profile:read": "read your profile",
    "profile:write": "change your profile",
    "users:read": "list the users of your organization",
    "users:write": "change the users of your organization",
    "roles:read": "list roles",
    "roles:write": "change roles",
    "tenants:read": "read about your organization",
    "tenants:write": "rename your organization",
    "licenses:read": "list licences",
    "licenses:write": "issue and revoke licences",
}
"""What a client may ask for, in words for the person who is asked."""


def digest(secret: str) -> str:
    """How tokens, codes and client secrets are stored. They are long and random, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


class OAuthClient(IamModel, ClientMixin):  # type: ignore[misc]
    """An application. A confidential one keeps a secret, a public one cannot."""

    class Type(models.TextChoices):
        CONFIDENTIAL = "confidential", "confidential: it runs on a server and keeps a secret"
        PUBLIC = "public", "public: it runs in a browser or on a phone"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    client_id = models.CharField(max_length=100, unique=True)
    client_secret_hash = models.CharField(max_length=255, null=True)
    client_name = models.CharField(max_length=255)
    client_type = models.CharField(max_length=20, choices=Type.choices, default=Type.CONFIDENTIAL)
    redirect_uris = models.JSONField(null=True, default=list)
    allowed_grant_types = models.JSONField(default=list)
    allowed_scopes = models.JSONField(null=True, default=list)
    logo_uri = models.CharField(max_length=500, null=True)
    website_uri = models.CharField(max_length=500, null=True)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.DO_NOTHING)
    is_active = models.BooleanField(null=True, default=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "oauth_clients"
        default_permissions = ()
        verbose_name = "OAuth client"

    def __str__(self) -> str:
        return self.client_name

    def new_secret(self) -> str:
        """Set a new secret, and return it: it is not stored."""
        secret = secrets.token_urlsafe(32)
        self.client_secret_hash = digest(secret)
        return secret

    # What Authlib asks.

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        wanted = " ".join(name for name in (scope or "").split() if name in (self.allowed_scopes or []))
        return capabilities.of(self.tenant_id).scopes(wanted)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in (self.redirect_uris or [])

    def check_client_secret(self, client_secret: str) -> bool:
        return bool(self.client_secret_hash) and hmac.compare_digest(
            self.client_secret_hash or "", digest(client_secret)
        )

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == "none") is (self.client_type == self.Type.PUBLIC)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.allowed_grant_types and grant_type in capabilities.of(self.tenant_id).grants


class AuthorizationCode(IamModel, AuthorizationCodeMixin):  # type: ignore[misc]
    """A code on its way from a user's browser to a client. `code` is its hash; one that was used is kept until it expires."""

    LIFE = timedelta(minutes=5)
    code = models.CharField(max_length=100, primary_key=True)
    client = models.ForeignKey(OAuthClient, on_delete=models.DO_NOTHING)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    redirect_uri = models.CharField(max_length=500, null=True)
    scope = models.TextField(null=True)
    code_challenge = models.CharField(max_length=128, null=True)
    code_challenge_method = models.CharField(max_length=10, null=True)
    nonce = models.TextField(null=True)
    authorization_id = models.UUIDField(default=uuid.uuid4)
    amr = models.JSONField(null=True)
    auth_time = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "oauth_authorization_codes"
        default_permissions = ()

    def __str__(self) -> str:
        return self.code[:8]

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope or ""

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int((self.auth_time or self.created_at).timestamp())

    def get_acr(self) -> str | None:
        return str(how(self.get_amr(), self.created_at)["acr"])

    def get_amr(self) -> list[str]:
        return list(self.amr or ())


class Token(IamModel, TokenMixin):  # type: ignore[misc]
    """What access and refresh tokens have in common. `token` is its hash; a client without a user speaks for itself.

    All that came of one code has its `authorization_id`, and says how its user showed who they are.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    token = models.CharField(max_length=255, unique=True)
    client = models.ForeignKey(OAuthClient, on_delete=models.DO_NOTHING)
    user = models.ForeignKey(User, null=True, on_delete=models.DO_NOTHING)
    scope = models.TextField(null=True)
    authorization_id = models.UUIDField(null=True)
    amr = models.JSONField(null=True)
    auth_time = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(IamModel.Meta):
        abstract = True

    def __str__(self) -> str:
        return self.token[:8]

    def check_client(self, client: OAuthClient) -> bool:
        return self.client_id == client.pk

    def get_scope(self) -> str:
        """What was granted, as far as it is allowed now to whom the token speaks for."""
        return capabilities.of(self.user.tenant_id if self.user else self.client.tenant_id).scopes(self.scope or "")

    def get_expires_in(self) -> int:
        return int((self.expires_at - self.created_at).total_seconds())

    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()

    def is_revoked(self) -> bool:
        """The client may not act for the user any more, or for itself."""
        if self.user is not None:
            return not may_act_for(self.client, self.user, self.amr or ())
        tenant = self.client.tenant_id
        on = self.client.is_active and switched_on(Subject(tenant=str(tenant or "")))
        return not on or (tenant is not None and not policy.of(tenant).active)

    def get_user(self) -> User | None:
        return self.user

    def get_client(self) -> OAuthClient:
        return self.client


class AccessToken(Token):
    @classmethod
    def of_user(cls, token: str) -> AccessToken | None:
        """A good token by what was sent, with the user it speaks for; None too for a client that speaks for itself."""
        found = cls.objects.select_related("user__tenant", "client").filter(token=digest(token)).first()
        return None if found is None or found.user is None or found.is_expired() or found.is_revoked() else found

    class Meta(IamModel.Meta):
        db_table = "oauth_access_tokens"
        default_permissions = ()


class RefreshToken(Token):
    """Good once. `revoked_at` says when it was used or revoked."""

    access_token = models.ForeignKey(AccessToken, null=True, on_delete=models.DO_NOTHING)
    revoked_at = models.DateTimeField(null=True)

    class Meta(IamModel.Meta):
        db_table = "oauth_refresh_tokens"
        default_permissions = ()

    def is_revoked(self) -> bool:
        return self.revoked_at is not None or super().is_revoked()


class Grant(IamModel):
    """What a user has allowed a client."""

    pk = models.CompositePrimaryKey("user_id", "client_id")
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    client = models.ForeignKey(OAuthClient, on_delete=models.DO_NOTHING)
    granted_at = models.DateTimeField(default=timezone.now)
    scope = models.TextField(null=True)

    class Meta(IamModel.Meta):
        db_table = "oauth_client_users"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class SocialConnection(IamModel):
    """An account of the user with another provider. Its tokens are not kept: we only ask who somebody is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    provider = models.CharField(max_length=50)
    provider_user_id = models.CharField(max_length=255)
    provider_username = models.CharField(max_length=255, null=True)
    provider_email = models.CharField(max_length=255, null=True)
    provider_name = models.CharField(max_length=255, null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "social_connections"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.provider} {self.provider_username or self.provider_user_id}"


def switched_on(subject: Subject) -> bool:
    """The flag, and the capability of the subject's tenant."""
    return is_on(FLAG, subject) and capabilities.of(subject.tenant or None).on("oauth2")


def may_act_for(client: OAuthClient, user: User, amr: Sequence[str]) -> bool:
    """Whether all still holds that a token was given for: the tenant, its home and the second factor it wants, too."""
    if not (client.is_active and user.is_active and switched_on(subject(user))):
        return False
    if client.tenant_id is not None and client.tenant_id != user.tenant_id:
        return False
    rules = policy.of(user.tenant_id)
    if not rules.active or homes.serving(str(user.tenant_id), write=False) != TenantHome.Home.IAM:
        return False
    return rules.enough(user, amr)


def end(authorization: uuid.UUID | None) -> None:
    """Revoke all that came of one code."""
    if authorization is not None:
        RefreshToken.objects.filter(authorization_id=authorization, revoked_at=None).update(revoked_at=timezone.now())
        AccessToken.objects.filter(authorization_id=authorization).update(expires_at=timezone.now())


def spend(tokens: Any) -> None:
    """Revoke refresh tokens, and the access tokens that came with them."""
    access = list(tokens.values_list("access_token_id", flat=True))
    tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
    AccessToken.objects.filter(pk__in=[id for id in access if id]).update(expires_at=timezone.now())
