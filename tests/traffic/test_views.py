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


def test_an_odd_number_of_days_is_refused_in_words(old: Old) -> None:
    builders.member("approver", username="anna")
    old.client.login(username="anna", password="secret-pass-1")
    mismatch = Mismatch.objects.create(endpoint="auth/me", field="bio", count=1)
    for days in ("\u00b2", "-1", "", "9" * 400):
        url = f"/admin/traffic/mismatches/{mismatch.pk}/ignore/"
        answer = old.client.post(url, {"days": days, "reason": "x"}, follow=True)
        assert "Choose for how many days" in answer.content.decode()


def test_the_addresses_of_version_0_1_lead_to_the_page(old: Old) -> None:
    builders.member("viewer", username="vera")
    old.client.login(username="vera", password="secret-pass-1")
    for page in ("board/", "board/live/"):
        answer = old.client.get(f"/admin/legacy_compat/legacyrequest/{page}")
        assert answer["Location"] == f"/admin/traffic/{page.removeprefix('board/')}"
