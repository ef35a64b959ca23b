"""Removing a user for good."""

from __future__ import annotations

from iam.models import User
from tests.legacy_compat.conftest import Old, make_tenant, make_user


def test_one_user_is_read_and_deleted_but_not_oneself(old: Old) -> None:
    token, other = old.login().json()["access_token"], make_user(old.tenant)
    assert old.get(f"/api/auth/users/{other.pk}", token).json()["username"] == other.username
    headers = {"Authorization": f"Bearer {token}"}
    assert old.client.delete(f"/api/auth/users/{other.pk}", headers=headers).status_code == 200
    gone = old.get(f"/api/auth/users/{other.pk}", token)
    assert (gone.status_code, gone.json()) == (404, {"detail": "User not found"})
    own = old.client.delete(f"/api/auth/users/{old.user.pk}", headers=headers)
    assert (own.status_code, own.json()) == (400, {"detail": "Cannot delete your own account"})


def test_users_of_other_tenants_are_nobody(old: Old) -> None:
    token, stranger = old.login().json()["access_token"], make_user(make_tenant())
    headers = {"Authorization": f"Bearer {token}"}
    assert old.get(f"/api/auth/users/{stranger.pk}", token).status_code == 404
    assert old.client.delete(f"/api/auth/users/{stranger.pk}", headers=headers).status_code == 404
    assert User.objects.filter(pk=stranger.pk).exists()
