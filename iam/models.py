"""The IAM's tables as models: read and written here, created by iam/schema/*.sql and filled by the migration."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.models.functions import Concat
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
        by_legacy = self.last_password_change is None
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
    billing_interval = models.TextField(null=True)

    class Meta(IamModel.Meta):
        db_table = "subscriptions"
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


class Permission(IamModel):
    """What may be done with a resource: `code` says it, resource:action, and `name` is what legacy calls it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)
    resource = models.CharField(max_length=100)
    action = models.CharField(max_length=50)
    description = models.TextField(null=True)
    is_system = models.BooleanField(null=True, default=False)
    created_at = models.DateTimeField(null=True, default=timezone.now)
    code = models.GeneratedField(
        expression=Concat("resource", models.Value(":"), "action"), output_field=models.TextField(), db_persist=True
    )

    class Meta(IamModel.Meta):
        db_table = "permissions"
        default_permissions = ()

    def __str__(self) -> str:
        return self.code


class Role(IamModel):
    """A role of one tenant, or of all (`tenant` None). Two of those are the default ones, whatever their ids: see `default`."""

    ADMIN, USER = "admin", "user"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)
    description = models.TextField(null=True)
    is_system = models.BooleanField(null=True, default=False)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.DO_NOTHING)
    created_at = models.DateTimeField(null=True, default=timezone.now)
    updated_at = models.DateTimeField(null=True, default=timezone.now)
    permissions = models.ManyToManyField(Permission, through="RolePermission")
    users = models.ManyToManyField(User, through="UserRole", through_fields=("role", "user"), related_name="roles")

    class Meta(IamModel.Meta):
        db_table = "roles"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def default(cls, name: str) -> models.QuerySet[Role]:
        """The role of everybody who has none assigned: ADMIN of superusers, USER of the others. One row."""
        return cls.objects.filter(
            pk__in=cls.objects.filter(tenant=None, name=name).order_by("created_at", "pk").values("pk")[:1]
        )


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
    kept = models.DateTimeField(null=True)
    """When the tokens of legacy's were issued that go on, of who changed the password with them."""

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

    def renew(self) -> None:
        """The refresh token before this is not good any more."""
        self.device_info = (self.device_info or {}) | {"jti": uuid.uuid4().hex}
        self.save(update_fields=["device_info"])

    def strengthen(self, method: str) -> None:
        """The user has now shown more; the refresh token before this is not good any more."""
        won = {"jti": uuid.uuid4().hex, "amr": [*self.amr, method], "auth_time": timezone.now().timestamp()}
        self.device_info = (self.device_info or {}) | won
        self.save(update_fields=["device_info"])
