"""What the released service answers where both profiles say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iam.licences import Terms
from iam.models import License, Permission, Role, Session
from iam.oauth.models import OAuthClient
from legacy_compat.contracts.shapes import Answer, moment, text

HEALTHY = Answer(200, {"status": "healthy"})
LICENCE_DELETED = Answer(200, {"message": "License deleted successfully"})
TENANT_DELETED = Answer(200, {"message": "Tenant deleted successfully"})
MAXIMUM = Answer(400, {"detail": "Maximum licenses reached for this tenant"})
NO_CONTENT = Answer(204, b"")
NO_ROLE = Answer(404, {"detail": "Role not found"})
NO_PERMISSION = Answer(404, {"detail": "Permission not found"})
NO_SESSION = Answer(404, {"detail": "Session not found"})
NO_APPLICATION = Answer(404, {"detail": "Application not found"})
NO_SUBSCRIPTION = Answer(404, {"detail": "Subscription not found"})
NO_TEMPLATE = Answer(404, {"detail": "Template not found"})
ROLE_TAKEN = Answer(400, {"detail": "Role already exists"})
SYSTEM_ROLE = Answer(400, {"detail": "System roles cannot be changed"})
ROLE_IN_USE = Answer(400, {"detail": "Users have this role"})
ALREADY_GRANTED = Answer(400, {"detail": "Permission already granted"})
ALREADY_ASSIGNED = Answer(400, {"detail": "Role already assigned"})
NOT_ASSIGNED = Answer(404, {"detail": "Role not assigned"})
TOO_MANY_SESSIONS = Answer(429, {"detail": "Maximum number of active sessions reached"})
NOT_ADMINISTRATOR = "Only administrators can list users"
NOT_PRIVILEGED = "The user doesn't have enough privileges"
NOT_ENOUGH = "Not enough permissions"
FORBIDDEN_ROLE = Answer(403, {"detail": NOT_PRIVILEGED})


def page(items: Sequence[Any], total: int, number: int, size: int) -> Answer:
    return Answer(200, {"items": list(items), "total": total, "page": number, "size": size, "pages": -(-total // size)})


def licence(licence: License, terms: Terms, tenant_name: str | None) -> dict[str, Any]:
    return {
        "id": str(licence.pk), "license_key": licence.license_key, "tenant_id": text(licence.tenant_id),
        "tenant_name": tenant_name, "template_id": licence.template_id,
        "linked_subscription": licence.linked_subscription, "issued_at": moment(terms.issued_at),
        "validity_days": terms.validity_days, "payload": licence.payload,
    }  # fmt: skip


def permission(permission: Permission) -> dict[str, Any]:
    return {
        "name": permission.name, "resource": permission.resource, "action": permission.action,
        "description": permission.description, "id": str(permission.pk), "is_system": permission.is_system,
        "created_at": moment(permission.created_at),
    }  # fmt: skip


def role(role: Role) -> dict[str, Any]:
    return {
        "name": role.name, "description": role.description, "tenant_id": text(role.tenant_id), "id": str(role.pk),
        "is_system": role.is_system, "created_at": moment(role.created_at), "updated_at": moment(role.updated_at),
        "permissions": [permission(one) for one in sorted(role.permissions.all(), key=lambda one: (one.code, one.pk))],
    }  # fmt: skip


def session(session: Session) -> dict[str, Any]:
    about = session.device_info or {}
    return {
        "id": str(session.pk), "user_id": str(session.user_id), "session_id": session.session_id,
        "device_info": {name: value for name, value in about.items() if name not in _OURS} or None,
        "ip_address": session.ip_address, "user_agent": session.user_agent, "location": session.location,
        "is_active": session.is_active, "created_at": moment(session.created_at),
        "last_activity": moment(session.last_activity), "expires_at": moment(session.expires_at),
    }  # fmt: skip


_OURS = ("jti", "amr", "auth_time")


def application(client: OAuthClient) -> dict[str, Any]:
    return {
        "id": str(client.pk), "client_id": client.client_id, "client_name": client.client_name,
        "client_type": client.client_type, "redirect_uris": client.redirect_uris,
        "allowed_grant_types": client.allowed_grant_types, "allowed_scopes": client.allowed_scopes,
        "logo_uri": client.logo_uri, "website_uri": client.website_uri, "tenant_id": text(client.tenant_id),
        "is_active": client.is_active, "created_at": moment(client.created_at), "updated_at": moment(client.updated_at),
    }  # fmt: skip
