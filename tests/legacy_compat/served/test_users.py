"""Users, one by one."""

from __future__ import annotations

import json
import uuid

from iam.models import User
from tests.legacy_compat.served.conftest import NEW, Caller, U, credentials, detail


def test_a_superuser_creates_a_user_as_json_or_as_a_form(boss: Caller) -> None:
    new = {"email": "a@example.org", "username": "anew", "password": NEW, "full_name": "O'Brien"}
    flat = boss("POST", "/api/auth/users", new)
    assert (flat.status_code, list(flat.json())) == (200, U)
    assert flat.json()["full_name"] == "O&#x27;Brien" and flat.json()["tenant_id"] == str(boss.user.tenant_id)
    nested = boss(
        "POST",
        "/api/auth/users",
        {"user": new | {"username": "other", "email": "o"}, "tenant_id": str(boss.user.tenant_id)},
    )
    assert nested.status_code == 200
    form = boss.form("post", "/api/auth/users", user=json.dumps(new | {"username": "third", "email": "t"}))
    assert form.status_code == 200
    again = boss("POST", "/api/auth/users", new)
    assert detail(again) == (400, "A user with this username or email already exists")
    signed_in = boss.client.post("/api/auth/login", credentials(User.objects.get(username="anew"), NEW))
    assert signed_in.status_code == 200


def test_a_user_is_changed_in_part(boss: Caller, plain: Caller) -> None:
    before = boss("GET", f"/api/auth/users/{plain.user.pk}").json()
    answer = boss(
        "PUT", f"/api/auth/users/{plain.user.pk}", {"bio": "a < b", "is_verified": True, "phone_number": None}
    )
    assert (answer.status_code, list(answer.json())) == (200, U)
    after = answer.json()
    assert {name for name in U if before[name] != after[name]} == {"bio", "is_verified", "updated_at"}
    assert after["bio"] == "a &lt; b"
    again = boss("PUT", f"/api/auth/users/{plain.user.pk}", {"bio": after["bio"]})
    assert again.json()["bio"] == "a &lt; b"  # the service escaped it once more
    assert detail(boss("PUT", f"/api/auth/users/{uuid.uuid4()}", {"bio": "x"})) == (404, "User not found")
    assert detail(plain("PUT", f"/api/auth/users/{boss.user.pk}", {"bio": "x"})) == (403, "Not enough permissions")
    assert detail(boss("PUT", f"/api/auth/users/{plain.user.pk}", {"username": "boss"}))[0] == 400


def test_changing_ones_own_profile_locks_nobody_out(plain: Caller) -> None:
    for path in (f"/api/auth/users/{plain.user.pk}", "/api/auth/v1/users/me/profile"):
        answer = plain("PUT", path, {"full_name": "Me", "is_superuser": True, "is_active": None})
        assert (answer.status_code, list(answer.json())) == (200, U)
    row = User.objects.get(pk=plain.user.pk)
    assert (row.full_name, row.is_active, row.is_superuser, row.is_verified) == ("Me", True, False, False)
    assert plain("GET", "/api/auth/v1/users/me/profile").json() == plain("GET", "/api/auth/me").json()


def test_a_plain_user_reads_and_sees_themselves_alone(plain: Caller, boss: Caller) -> None:
    assert plain("GET", f"/api/auth/users/{plain.user.pk}").json()["username"] == "plain"
    assert detail(plain("GET", f"/api/auth/users/{boss.user.pk}")) == (403, "Not enough permissions")
    assert detail(plain("GET", "/api/auth/users")) == (403, "Not enough permissions")
    assert detail(plain("GET", "/api/auth/v1/users")) == (403, "Only administrators can list users")


def test_a_user_is_deleted(boss: Caller, plain: Caller) -> None:
    assert boss("DELETE", f"/api/auth/users/{plain.user.pk}").json() == {"message": "User deleted successfully"}
    assert detail(boss("DELETE", f"/api/auth/users/{plain.user.pk}")) == (404, "User not found")
    assert detail(boss("DELETE", f"/api/auth/users/{boss.user.pk}")) == (400, "Cannot delete your own account")


def test_a_user_keeps_the_tenant_they_have(boss: Caller, plain: Caller) -> None:
    address, own = f"/api/auth/users/{plain.user.pk}", str(plain.user.tenant_id)
    for same in (own, own.upper()):
        assert boss("PUT", address, {"tenant_id": same, "bio": "x"}).status_code == 200
    assert detail(boss("PUT", address, {"tenant_id": str(uuid.uuid4()), "bio": "y"})) == (404, "Tenant not found")
    assert User.objects.get(pk=plain.user.pk).bio == "x"


def test_a_weak_password_for_somebody_else_is_refused_as_a_bad_request(boss: Caller, plain: Caller) -> None:
    refused = boss("PUT", f"/api/auth/users/{plain.user.pk}", {"password": "password1"})
    assert detail(refused)[0] == 400 and "common" in str(detail(refused)[1])
