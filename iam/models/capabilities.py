"""The capability model: what the system offers, what a tenant may use and has switched on, who is enrolled."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from iam.models.base import IamModel
from iam.models.organization import Tenant, User


class SystemCapability(IamModel):
    """What the system offers. `default_value` is a JSON object, often `{"value": …}`."""

    capability_key = models.CharField(max_length=100, primary_key=True)
    enabled = models.BooleanField(default=False)
    default_value = models.JSONField(default=dict)
    description = models.TextField(null=True)
    updated_at = models.DateTimeField(null=True, default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "system_capabilities"
        default_permissions = ()
        ordering = ["capability_key"]

    def __str__(self) -> str:
        return self.capability_key


class TenantCapability(IamModel):
    """What a tenant may use, and its own value; NULL for the system's."""

    pk = models.CompositePrimaryKey("tenant_id", "capability_key")
    tenant = models.ForeignKey(Tenant, on_delete=models.DO_NOTHING)
    capability_key = models.CharField(max_length=100)
    enabled = models.BooleanField(default=False)
    value = models.JSONField(null=True)
    decided_by = models.TextField(null=True)
    configured_at = models.DateTimeField(null=True, default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "tenant_capabilities"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.capability_key}"


class TenantFeature(IamModel):
    """What a tenant has switched on of what it may use."""

    pk = models.CompositePrimaryKey("tenant_id", "feature_key")
    tenant = models.ForeignKey(Tenant, on_delete=models.DO_NOTHING)
    feature_key = models.CharField(max_length=100)
    enabled = models.BooleanField(default=False)
    configuration = models.JSONField(null=True)
    enabled_at = models.DateTimeField(null=True, default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "tenant_feature_enablement"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.feature_key}"


class UserCapability(IamModel):
    """Who is enrolled in what."""

    pk = models.CompositePrimaryKey("user_id", "capability_key")
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    capability_key = models.CharField(max_length=100)
    enrolled = models.BooleanField(default=False)
    state_data = models.JSONField(null=True)
    enrolled_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta(IamModel.Meta):
        db_table = "user_capability_state"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user_id} {self.capability_key}"
