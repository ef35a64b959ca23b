"""Removing a user for good, with everything in the IAM that refers to it."""

from __future__ import annotations

from django.db import connections, transaction

from iam.models import RolePermission, Session, User, UserRole
from iam.oauth.models import AccessToken, AuthorizationCode, Grant, RefreshToken, SocialConnection


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
