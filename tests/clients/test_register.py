"""OAuth clients are changed, renewed and switched off."""

from __future__ import annotations

from django.test import Client

from iam.oauth.models import OAuthClient
from tests.clients.registering import FORM
from tests.legacy_compat.conftest import make_tenant


def test_a_renewed_secret_replaces_the_old_one(console: Client) -> None:
    console.post("/admin/clients/register/", FORM)
    before = OAuthClient.objects.get()
    console.post(f"/admin/clients/{before.pk}/renew/")
    assert OAuthClient.objects.get().client_secret_hash != before.client_secret_hash


def test_a_client_is_changed_and_switched_off_with_a_reason(console: Client) -> None:
    console.post("/admin/clients/register/", FORM)
    made = OAuthClient.objects.get()
    console.post(f"/admin/clients/{made.pk}/", FORM | {"tenant": str(make_tenant().pk), "client_name": "Other"})
    assert OAuthClient.objects.get().client_name == "Other"
    console.post(f"/admin/clients/{made.pk}/switch/", {"on": "no"})
    assert OAuthClient.objects.get().is_active
    console.post(f"/admin/clients/{made.pk}/switch/", {"on": "no", "reason": "lost"})
    assert not OAuthClient.objects.get().is_active
