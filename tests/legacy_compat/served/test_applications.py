"""OAuth clients."""

from __future__ import annotations

from iam.oauth.models import OAuthClient
from tests.legacy_compat.served.conftest import Caller


def test_applications_show_their_secret_once(boss: Caller, plain: Caller) -> None:
    made = boss("POST", "/api/v1/applications/", {"client_name": "App", "redirect_uris": ["https://a.example/cb"]})
    assert made.status_code == 201 and not any("secret" in name for name in made.json())
    assert plain("POST", "/api/v1/applications/", {"client_name": "App"}).status_code == 403
    name = made.json()["client_id"]
    place = f"/api/v1/applications/{name}"
    secret = boss("POST", f"{place}/secret").json()
    assert list(secret) == ["client_id", "client_secret"]
    assert OAuthClient.objects.get(client_id=name).check_client_secret(secret["client_secret"])
    assert boss("PUT", place, {"client_name": "Renamed"}).json()["client_name"] == "Renamed"
    assert boss("POST", f"{place}/users/{plain.user.pk}").status_code == 201
    assert plain("GET", place).status_code == 200
    assert boss("DELETE", place).status_code == 204
    assert plain("GET", place).status_code == 404
