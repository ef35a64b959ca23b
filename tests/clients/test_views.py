"""Registering OAuth clients in the console: who may, and that a secret is shown once."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from iam.oauth.models import OAuthClient
from migration_portal.audit.models import Event
from tests import builders
from tests.clients.registering import FORM
from tests.world import World


def test_a_secret_is_shown_once_and_only_its_hash_is_kept(console: Client) -> None:
    page = console.post("/admin/clients/register/", FORM)
    shown = re.search(r"shown once.*?<code[^>]*>([^<]+)</code>", page.content.decode(), re.DOTALL)
    made = OAuthClient.objects.get()
    assert shown and made.check_client_secret(shown[1]) and shown[1] not in str(made.client_secret_hash)
    assert "no-store" in page["Cache-Control"]
    assert shown[1] not in console.get(f"/admin/clients/{made.pk}/").content.decode()
    assert Event.objects.get(verb="register_client").actor == "otto"


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_name": " "}, {"redirect_uris": ""}, {"redirect_uris": "http://app.example.org/cb"},
        {"redirect_uris": "https://*.example.org/"}, {"redirect_uris": "javascript:alert(1)"}, {"grants": []},
        {"grants": ["client_credentials"]}, {"tenant": "nobody"}, {"client_type": "public", "grants": ["client_credentials"]},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_sentence_and_the_form_kept(console: Client, wrong: dict[str, object]) -> None:
    page = console.post("/admin/clients/register/", FORM | wrong)
    assert page.status_code == 422 and not OAuthClient.objects.exists()
    assert b"openid" in page.content


def test_registering_is_for_operators(world: World) -> None:
    builders.member("viewer", username="vera")
    client = Client()
    client.login(username="vera", password="secret-pass-1")
    assert client.get("/admin/clients/").status_code == 200
    assert client.post("/admin/clients/register/", FORM).status_code == 403
