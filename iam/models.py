"""The IAM's tables as models: read and written here, created by iam/schema/*.sql and filled by the migration."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.utils import timezone

from flags import homes
from iam import passwords


class ParsedJSONField(models.JSONField):
    """A column of type json, not jsonb: the driver has parsed it already."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value


class IamModel(models.Model):
    """Lives in the IAM database, whose schema scripts own its table."""

    database = "iam"

    class Meta:
        abstract = True
        managed = False

    @classmethod
    def columns(cls, alias: str) -> str:
        """The select list of a raw statement."""
        return ", ".join(f"{alias}.{field.column}" for field in cls._meta.concrete_fields)


class Tenant(IamModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=255, null=True)
    slug = models.CharField(max_length=100, null=True)
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
    email = models.CharField(max_length=255, null=True)
    username = models.CharField(max_length=100, null=True)
    full_name = models.CharField(max_length=255, null=True)
    hashed_password = models.CharField(max_length=255)
    is_active = models.BooleanField(null=True, default=True)
    is_superuser = models.BooleanField(null=True, default=False)
    is_verified = models.BooleanField(null=True, default=False)
    avatar_url = models.CharField(max_length=500, null=True)
    bio = models.TextField(null=True)
    phone_number = models.CharField(max_length=50, null=True)
    mfa_enabled = models.BooleanField(null=True, default=False)
    mfa_secret_encrypted = models.TextField(null=True)
    require_password_change = models.BooleanField(null=True, default=False)
    password_expires_at = models.DateTimeField(null=True)
    account_locked_until = models.DateTimeField(null=True)
    email_verified = models.BooleanField(null=True, default=False)
    created_at = models.DateTimeField(null=True, default=timezone.now)
    updated_at = models.DateTimeField(null=True)
    last_login = models.DateTimeField(null=True)
    last_login_at = models.DateTimeField(null=True)
    last_password_change = models.DateTimeField(null=True)

    class Meta(IamModel.Meta):
        db_table = "users"
        default_permissions = ()

    def __str__(self) -> str:
        return self.username or str(self.pk)

    def has_password(self, password: str) -> bool:
        """At the same cost whatever is stored; also as legacy stored it, where the hash is legacy's."""
        by_legacy = self.last_password_change is None
        return passwords.verify_as_legacy(password, self.hashed_password, by_legacy=by_legacy)

    def set_password(self, password: str) -> None:
        """Not saved yet: PASSWORD_FIELDS are changed."""
        self.hashed_password = passwords.hashed(password, final=homes.of(str(self.tenant_id)).final)
        self.last_password_change = self.updated_at = timezone.now()


class License(IamModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    license_key = models.CharField(max_length=255, null=True)
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


class Permission(IamModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)

    class Meta(IamModel.Meta):
        db_table = "permissions"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class Role(IamModel):
    """A role of one tenant, or of all (`tenant` None)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)
    description = models.TextField(null=True)
    is_system = models.BooleanField(null=True, default=False)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.DO_NOTHING)
    permissions = models.ManyToManyField(Permission, through="RolePermission")
    users = models.ManyToManyField(User, through="UserRole", through_fields=("role", "user"), related_name="roles")

    class Meta(IamModel.Meta):
        db_table = "roles"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class RolePermission(IamModel):
    pk = models.CompositePrimaryKey("role_id", "permission_id")
    role = models.ForeignKey(Role, on_delete=models.DO_NOTHING)
    permission = models.ForeignKey(Permission, on_delete=models.DO_NOTHING)
    granted_by = models.ForeignKey(User, null=True, on_delete=models.DO_NOTHING, db_column="granted_by")

    class Meta(IamModel.Meta):
        db_table = "role_permissions"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class UserRole(IamModel):
    pk = models.CompositePrimaryKey("user_id", "role_id")
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    role = models.ForeignKey(Role, on_delete=models.DO_NOTHING)
    assigned_by = models.ForeignKey(
        User, null=True, on_delete=models.DO_NOTHING, related_name="+", db_column="assigned_by"
    )
    expires_at = models.DateTimeField(null=True)

    class Meta(IamModel.Meta):
        db_table = "user_roles"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class SigningKey(IamModel):
    """A key of the new API's tokens: its public half as a JWK, the private one encrypted."""

    kid = models.CharField(max_length=64, primary_key=True)
    public_jwk = models.JSONField()
    private_jwk_encrypted = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "signing_keys"
        default_permissions = ()

    def __str__(self) -> str:
        return self.kid


class EndedSessions(IamModel):
    """When the last change of password or account ended all of a user's sessions; for tokens that have none here."""

    user_id = models.UUIDField(primary_key=True)
    ended_at = models.DateTimeField()

    class Meta(IamModel.Meta):
        db_table = "ended_sessions"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class Session(IamModel):
    """A signed-in user, by tokens or in a browser. `session_id` names the family of its refresh tokens.

    `device_info` holds `jti`, the refresh token that is good now; `amr`, how the user showed who they are (RFC 8176: pwd,
    otp, or fed for another provider), and `auth_time`, when.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    session_id = models.CharField(max_length=255)
    device_info = models.JSONField(null=True)
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.TextField(null=True)
    is_active = models.BooleanField(null=True, default=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_activity = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta(IamModel.Meta):
        db_table = "user_sessions"
        default_permissions = ()

    def __str__(self) -> str:
        return self.session_id

    @property
    def amr(self) -> list[str]:
        return list((self.device_info or {}).get("amr", ()))

    @property
    def auth_time(self) -> datetime:
        at = (self.device_info or {}).get("auth_time")
        return datetime.fromtimestamp(at, UTC) if at else self.created_at

    def strengthen(self, method: str) -> None:
        """The user has now shown more; the refresh token before this is not good any more."""
        won = {"jti": uuid.uuid4().hex, "amr": [*self.amr, method], "auth_time": timezone.now().timestamp()}
        self.device_info = (self.device_info or {}) | won
        self.save(update_fields=["device_info"])
