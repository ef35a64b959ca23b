"""Tenants with what they ask, their users, their licences and subscriptions."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from flags import homes
from iam import passwords
from iam.models.base import IamModel, ParsedJSONField


class Tenant(IamModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.TextField(null=True)
    slug = models.TextField(null=True)
    is_active = models.BooleanField(null=True, default=True)
    created_at = models.DateTimeField(null=True, default=timezone.now)
    max_licenses = models.IntegerField(default=0)

    class Meta(IamModel.Meta):
        db_table = "tenants"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name or str(self.pk)


class User(IamModel):
    PASSWORD_FIELDS = (
        "hashed_password", "last_password_change", "updated_at", "require_password_change", "password_expires_at",
    )  # fmt: skip

    tenant_is_active: bool | None
    tenant_wants_codes: bool
    """Both of a user that a token speaks for: read along."""
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.DO_NOTHING)
    email = models.TextField(null=True)
    username = models.TextField(null=True)
    full_name = models.TextField(null=True)
    hashed_password = models.CharField(max_length=255)
    is_active = models.BooleanField(null=True, default=True)
    is_superuser = models.BooleanField(null=True, default=False)
    is_verified = models.BooleanField(null=True, default=False)
    avatar_url = models.TextField(null=True)
    bio = models.TextField(null=True)
    phone_number = models.TextField(null=True)
    mfa_enabled = models.BooleanField(null=True, default=False)
    mfa_secret_encrypted = models.TextField(null=True)
    refresh_token = models.TextField(null=True)
    oauth_provider = models.TextField(null=True)
    oauth_id = models.TextField(null=True)
    sso_provider = models.TextField(null=True)
    sso_id = models.TextField(null=True)
    require_password_change = models.BooleanField(null=True, default=False)
    password_expires_at = models.DateTimeField(null=True)
    account_locked_until = models.DateTimeField(null=True)
    email_verified = models.BooleanField(null=True, default=False)
    preferred_language = models.CharField(max_length=10, null=True, default="en")
    created_at = models.DateTimeField(null=True, default=timezone.now)
    updated_at = models.DateTimeField(null=True)
    last_login = models.DateTimeField(null=True)
    last_login_at = models.DateTimeField(null=True)
    last_password_change = models.DateTimeField(null=True)
    email_verified_at = models.DateTimeField(null=True)

    class Meta(IamModel.Meta):
        db_table = "users"
        default_permissions = ()

    def __str__(self) -> str:
        return self.username or str(self.pk)

    def has_password(self, password: str) -> bool:
        """At the same cost whatever is stored; also as legacy stored it, where the hash is legacy's."""
        by_legacy = self.last_password_change is None and self.hashed_password.startswith(
            "$2"
        )  # the service knew no other
        return passwords.verify_as_legacy(password, self.hashed_password, by_legacy=by_legacy)

    def set_password(self, password: str) -> None:
        """Not saved yet: PASSWORD_FIELDS are changed."""
        self.hashed_password = passwords.hashed(password, final=homes.of(str(self.tenant_id)).final)
        self.last_password_change = self.updated_at = timezone.now()


class License(IamModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    license_key = models.TextField(null=True)
    license_secret = models.TextField(null=True)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.DO_NOTHING)
    template_id = models.CharField(max_length=36, null=True)
    linked_subscription = models.CharField(max_length=36, null=True)
    issued_at = models.DateTimeField(null=True)
    validity_days = models.IntegerField(null=True)
    payload = ParsedJSONField(null=True)

    class Meta(IamModel.Meta):
        db_table = "licenses"
        default_permissions = ()

    def __str__(self) -> str:
        return self.license_key or str(self.pk)


class Subscription(IamModel):
    """Legacy's, followed: what a linked licence is worth."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant_id = models.UUIDField()
    plan_id = models.CharField(max_length=36, null=True)
    status = models.TextField()
    start_date = models.DateTimeField(null=True)
    issue_date = models.DateTimeField(null=True)
    end_date = models.DateTimeField(null=True)

    class Meta(IamModel.Meta):
        db_table = "subscriptions"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class SubscriptionPlan(IamModel):
    """Legacy's, followed: how often a subscription is renewed."""

    id = models.UUIDField(primary_key=True)
    billing_interval = models.TextField()

    class Meta(IamModel.Meta):
        db_table = "subscription_plans"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class TenantSettings(IamModel):
    """What a tenant asks: how long its tokens live, what its passwords must be like, whether a password is enough."""

    tenant = models.OneToOneField(Tenant, primary_key=True, on_delete=models.DO_NOTHING)
    access_token_ttl_minutes = models.IntegerField(null=True, default=15)
    refresh_token_ttl_days = models.IntegerField(null=True, default=30)
    min_password_length = models.IntegerField(null=True, default=12)
    require_uppercase = models.BooleanField(null=True, default=False)
    require_lowercase = models.BooleanField(null=True, default=False)
    require_numbers = models.BooleanField(null=True, default=False)
    require_special_chars = models.BooleanField(null=True, default=False)
    password_expiry_days = models.IntegerField(null=True)
    mfa_required = models.BooleanField(null=True, default=False)
    rate_limit_requests = models.IntegerField(null=True)
    rate_limit_window_seconds = models.IntegerField(null=True)

    class Meta(IamModel.Meta):
        db_table = "tenant_settings"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class ExternalIdentity(IamModel):
    """An account elsewhere with which a user may sign in, wherever that is kept: a view."""

    pk = models.CompositePrimaryKey("kind", "provider", "external_id", "user_id")
    user_id = models.UUIDField()
    kind = models.TextField()
    provider = models.TextField()
    external_id = models.TextField()

    class Meta(IamModel.Meta):
        db_table = "external_identities"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.provider} {self.external_id}"
