"""Signing keys: rotated, published, sealed."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from iam import keys
from tests.iam.conftest import Api
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def test_tokens_verify_with_the_published_keys_only(api: Api) -> None:
    published = KeySet.import_key_set(api.client.get("/.well-known/jwks.json").json())
    assert all("d" not in key for key in api.client.get("/.well-known/jwks.json").json()["keys"])
    claims = jwt.decode(api.token, published, ["ES256"]).claims
    assert claims["user_id"] == str(api.admin.pk)


def test_a_rotated_key_signs_and_the_old_one_still_verifies(api: Api) -> None:
    keys.rotate(now=True)
    newer = api.login().json()["access_token"]
    assert len(keys.published()["keys"]) == 2
    assert api.call("GET", "/me", newer).status_code == api.call("GET", "/me").status_code == 200
    assert not keys.rotate()


def test_private_keys_are_not_readable_in_the_database(api: Api) -> None:
    from iam.models import SigningKey

    assert '"d"' not in SigningKey.objects.get().private_jwk_encrypted


def test_a_process_reads_the_keys_once_and_again_after_a_while(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys._keys()
    assert keys._keys() is before
    monkeypatch.setattr(keys, "_SECONDS", -1.0)
    assert keys._keys() is not before
