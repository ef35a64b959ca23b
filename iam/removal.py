"""Removing a user or a tenant for good, with everything in the IAM that refers to it."""

from __future__ import annotations

from django.db import connections, transaction

from iam.models import License, Role, RolePermission, Session, Tenant, User, UserRole
from iam.oauth.models import AccessToken, AuthorizationCode, Grant, OAuthClient, RefreshToken, SocialConnection


def remove(user: User) -> None:
    """Delete the user. Raises IntegrityError when something that outlives people refers to it; then nothing has changed."""
    with transaction.atomic(using="iam"), connections["iam"].cursor() as cursor:
        # The user first, as everybody else who ends sessions does: two orders would be a deadlock.
        User.objects.select_for_update().filter(pk=user.pk).first()
        cursor.execute("DELETE FROM user_capability_state WHERE user_id = %s", [user.pk])
        UserRole.objects.filter(assigned_by=user).update(assigned_by=None)
        RolePermission.objects.filter(granted_by=user).update(granted_by=None)
        # Children first: refresh tokens refer to access tokens.
        for kind in (RefreshToken, AccessToken, AuthorizationCode, Grant, SocialConnection, Session, UserRole):
            kind.objects.filter(user=user).delete()  # type: ignore[attr-defined]
        User.objects.filter(pk=user.pk).delete()


def remove_tenant(tenant: Tenant) -> None:
    """Delete the tenant with its users, licences, roles and clients. Raises IntegrityError when something else refers to them."""
    with transaction.atomic(using="iam"):
        Tenant.objects.select_for_update().filter(pk=tenant.pk).first()
        for user in User.objects.filter(tenant=tenant):
            remove(user)
        clients = OAuthClient.objects.filter(tenant=tenant)
        for kind in (RefreshToken, AccessToken, AuthorizationCode, Grant):
            kind.objects.filter(client__in=clients).delete()  # type: ignore[attr-defined]
        clients.delete()
        License.objects.filter(tenant=tenant).delete()
        roles = Role.objects.filter(tenant=tenant)
        UserRole.objects.filter(role__in=roles).delete()
        RolePermission.objects.filter(role__in=roles).delete()
        roles.delete()
        for table in ("tenant_settings", "tenant_capabilities", "tenant_feature_enablement"):
            with connections["iam"].cursor() as cursor:
                cursor.execute(f"DELETE FROM {table} WHERE tenant_id = %s", [tenant.pk])
        Tenant.objects.filter(pk=tenant.pk).delete()
