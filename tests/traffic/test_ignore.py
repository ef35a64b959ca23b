"""Ignoring a contract mismatch, on the record."""

from __future__ import annotations

from legacy_compat.models import Mismatch
from migration_portal.audit.models import Event
from tests import builders
from tests.legacy_compat.conftest import Old


def test_a_mismatch_is_ignored_with_a_reason_until_it_is_open_again(old: Old) -> None:
    mismatch = Mismatch.objects.create(endpoint="auth/me", field="bio", count=1)
    builders.member("operator", username="otto")
    old.client.login(username="otto", password="secret-pass-1")
    url = f"/admin/traffic/mismatches/{mismatch.pk}/ignore/"
    old.client.post(url, {"days": "7"})
    mismatch.refresh_from_db()
    assert mismatch.open
    old.client.post(url, {"days": "7", "reason": "known"})
    mismatch.refresh_from_db()
    assert not mismatch.open and (mismatch.decided_by, mismatch.reason) == ("otto", "known")
    event = Event.objects.get(verb="ignore_mismatch")
    assert (event.actor, event.reason, event.data["field"]) == ("otto", "known", "bio")
    old.client.post(url, {"days": "0", "reason": "it came again"})
    mismatch.refresh_from_db()
    assert mismatch.open and Event.objects.filter(verb="reopen_mismatch").exists()
