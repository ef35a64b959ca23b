"""The IAM's tables as models: read and written here, created by iam/schema/*.sql and filled by the migration."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone


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


class Session(IamModel):
    """A signed-in user: `session_id` names the family of its refresh tokens, `device_info.jti` the one that is good now."""

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
