"""The IAM's tables as models: read and written here, created by iam/schema/*.sql and filled by the migration."""

from iam.models.base import IamModel, ParsedJSONField
from iam.models.capabilities import SystemCapability, TenantCapability, TenantFeature, UserCapability
from iam.models.notices import InAppNotice, NoticeRead, in_language
from iam.models.organization import (
    ExternalIdentity,
    License,
    Subscription,
    SubscriptionPlan,
    Tenant,
    TenantSettings,
    User,
)
from iam.models.roles import Permission, Role, RolePermission, UserRole
from iam.models.sessions import EndedSessions, Session, SigningKey

__all__ = [
    "EndedSessions",
    "ExternalIdentity",
    "IamModel",
    "InAppNotice",
    "License",
    "NoticeRead",
    "ParsedJSONField",
    "Permission",
    "Role",
    "RolePermission",
    "Session",
    "SigningKey",
    "Subscription",
    "SubscriptionPlan",
    "SystemCapability",
    "Tenant",
    "TenantCapability",
    "TenantFeature",
    "TenantSettings",
    "User",
    "UserCapability",
    "UserRole",
    "in_language",
]
