"""Many users: lists, exports, switches."""

from __future__ import annotations

import csv
import io
import uuid

from iam.models import User
from tests.legacy_compat.served.conftest import NEW, PAGE, Caller, U, detail, kinds


def test_v1_lists_pages_of_users_sorted_and_filtered(boss: Caller, plain: Caller) -> None:
    User.objects.filter(pk=plain.user.pk).update(is_active=False, email_verified=True)
    everybody = boss("GET", "/api/auth/v1/users").json()
    assert list(everybody) == PAGE and (everybody["size"], everybody["total"]) == (20, 2)
    assert [list(each) for each in everybody["items"]] == [U, U]
    for query, names in (
        ("sort=username:asc", ["boss", "plain"]),
        ("sort=username:desc", ["plain", "boss"]),
        ("filter_status=active", ["boss"]),
        ("filter_status=inactive", ["plain"]),
        ("filter_status=pending_verification", ["boss"]),
        ("filter_verified=true", ["plain"]),
        ("search=PLA", ["plain"]),
        (f"filter_tenant={uuid.uuid4()}", []),
        ("filter_role=none", []),
        ("size=1&page=2", ["boss"]),
    ):
        assert [each["username"] for each in boss("GET", f"/api/auth/v1/users?{query}").json()["items"]] == names, query
    assert kinds(boss("GET", "/api/auth/v1/users?size=101")) == [("less_than_equal", ["query", "size"])]
    assert kinds(boss("GET", "/api/auth/v1/users?search=x")) == [("string_too_short", ["query", "search"])]
    assert boss("GET", "/api/auth/v1/users?sort=nothing").status_code == 200


def test_many_users_at_once(boss: Caller, plain: Caller) -> None:
    new = [{"email": f"{n}@e", "username": n, "password": NEW} for n in ("one1", "two2", "boss")]
    made = boss("POST", "/api/auth/v1/users/bulk-create", new).json()
    assert list(made) == ["created", "errors", "users", "error_details"] and (made["created"], made["errors"]) == (2, 1)
    assert made["error_details"][0]["index"] == 2 and list(made["error_details"][0]) == ["index", "error", "data"]
    one = made["users"][0]["id"]
    told = boss(
        "PUT",
        "/api/auth/v1/users/bulk-update",
        [
            {"user_id": one, "updates": {"bio": "x"}},
            {"user_id": str(uuid.uuid4()), "updates": {}},
        ],
    ).json()
    assert list(told) == ["updated", "errors", "users", "error_details"] and (told["updated"], told["errors"]) == (1, 1)
    assert (
        list(told["error_details"][0]) == ["index", "error", "user_id"]
        and told["error_details"][0]["error"] == "User not found"
    )
    gone = boss("DELETE", "/api/auth/v1/users/bulk-delete", [one, str(boss.user.pk)]).json()
    assert list(gone) == ["deleted", "errors", "error_details"] and (gone["deleted"], gone["errors"]) == (1, 1)
    assert not User.objects.filter(pk=one).exists()


def test_users_are_exported(boss: Caller, plain: Caller) -> None:
    as_json = boss("GET", "/api/auth/v1/users/export?format=json").json()
    assert list(as_json) == ["users", "total", "exported_at"] and as_json["total"] == 2
    as_csv = boss("GET", "/api/auth/v1/users/export?format=csv").json()
    assert list(as_csv) == ["format", "data", "total", "exported_at"]
    assert {row["username"] for row in csv.DictReader(io.StringIO(as_csv["data"]))} == {"boss", "plain"}


def test_users_are_switched(boss: Caller, plain: Caller) -> None:
    place = f"/api/auth/v1/users/{plain.user.pk}"
    assert boss("PATCH", f"{place}/deactivate").json()["is_active"] is False
    assert plain("GET", "/api/auth/me").json() == {"detail": "Inactive user"}
    assert boss("PATCH", f"{place}/activate").json()["is_active"] is True
    boss("PATCH", f"{place}/verify-email")
    row = User.objects.get(pk=plain.user.pk)
    assert row.email_verified and row.email_verified_at and not row.is_verified
    assert detail(boss("PATCH", f"/api/auth/v1/users/{boss.user.pk}/deactivate")) == (
        400,
        "Cannot deactivate your own account",
    )
    assert detail(boss("PATCH", f"/api/auth/v1/users/{uuid.uuid4()}/activate")) == (404, "User not found")
