"""Tenants."""

from __future__ import annotations

import uuid

from iam.models import Tenant
from tests.legacy_compat.conftest import make_licence
from tests.legacy_compat.served.conftest import PAGE, Caller, T, detail, kinds


def test_tenants_are_made_changed_and_deleted(boss: Caller, plain: Caller) -> None:
    made = boss("POST", "/api/tenants", {"name": "Ac'me & Co", "slug": "new", "max_licenses": 5})
    assert (made.status_code, list(made.json())) == (200, T)
    assert made.json()["name"] == "Ac&#x27;me &amp; Co"
    assert detail(boss("POST", "/api/tenants", {"name": "x", "slug": "new", "max_licenses": 5})) == (
        400,
        "Tenant slug already exists",
    )
    for wrong, kind in (
        ({"slug": "Up"}, "string_pattern_mismatch"),
        ({"max_licenses": 0}, "greater_than"),
        ({"name": "n" * 101}, "string_too_long"),
        ({"slug": "s" * 51}, "string_too_long"),
    ):
        assert [
            k for k, _ in kinds(boss("POST", "/api/tenants", {"name": "x", "slug": "y", "max_licenses": 1} | wrong))
        ] == [kind]
    place = f"/api/tenants/{boss.user.tenant_id}"
    changed = boss("PUT", place, {"name": "Renamed", "is_active": None})
    assert (changed.json()["name"], changed.json()["is_active"]) == ("Renamed", True)
    assert detail(boss("PUT", place, {"slug": "new"})) == (400, "Tenant slug already exists")
    assert plain("PUT", place, {"name": "x"}).status_code == 403
    assert detail(boss("GET", f"/api/tenants/{uuid.uuid4()}")) == (404, "Tenant not found")
    assert kinds(boss("GET", "/api/tenants/x")) == [("uuid_parsing", ["path", "tenant_id"])]
    listed = boss("GET", "/api/tenants").json()
    assert list(listed) == PAGE and [list(each) for each in listed["items"]] == [T]
    assert kinds(boss("GET", "/api/tenants?size=500")) == [("less_than_equal", ["query", "size"])]
    make_licence(boss.user.tenant)
    assert boss("DELETE", place).json() == {"message": "Tenant deleted successfully"}
    assert not Tenant.objects.filter(pk=boss.user.tenant_id).exists()
