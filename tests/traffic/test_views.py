"""The pages about traffic, and who may see them."""

from __future__ import annotations

from legacy_compat.models import Mismatch
from tests import builders
from tests.legacy_compat.conftest import Old
from tests.legacy_compat.recorded import requests


def test_the_screens_are_for_those_who_may(old: Old) -> None:
    old.login()
    assert len(requests()) == 1
    Mismatch.objects.create(endpoint="auth/me", field="bio", count=1)
    pages = (
        "traffic/", "traffic/live/", f"legacy_compat/legacyrequest/?q={requests()[0].request_id}",
        "legacy_compat/mismatch/", f"legacy_compat/mismatch/{Mismatch.objects.get().pk}/change/",
    )  # fmt: skip
    builders.member("viewer", username="vera")
    old.client.login(username="vera", password="secret-pass-1")
    for page in pages:
        assert old.client.get(f"/admin/{page}").status_code == 200, page
    assert old.client.post(f"/admin/traffic/mismatches/{Mismatch.objects.get().pk}/ignore/").status_code == 403
    builders.member(username="nobody")
    old.client.login(username="nobody", password="secret-pass-1")
    for page in pages:
        assert old.client.get(f"/admin/{page}").status_code == 403, page
