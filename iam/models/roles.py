"""Roles, what they permit, and who has them."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Concat
from django.utils import timezone

from iam.models.base import IamModel
from iam.models.organization import Tenant, User


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
