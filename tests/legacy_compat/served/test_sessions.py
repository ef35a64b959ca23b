"""One's own sessions."""

from __future__ import annotations

from tests.legacy_compat.served.conftest import Caller


def test_sessions_are_ones_own_and_end(boss: Caller, plain: Caller) -> None:
    [mine] = plain("GET", "/api/v1/sessions/").json()
    assert mine["user_id"] == str(plain.user.pk) and mine["device_info"] is None
    shown = plain("GET", f"/api/v1/sessions/{mine['id']}")
    assert (shown.status_code, shown.json()["id"]) == (200, mine["id"])
    assert boss("DELETE", f"/api/v1/sessions/{mine['id']}").status_code == 404
    made = [plain("POST", "/api/v1/sessions/", {}).status_code for _ in range(6)]
    assert made == [200] * 5 + [429]
    answer = plain("DELETE", f"/api/v1/sessions/{mine['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert plain("GET", "/api/auth/me").status_code == 401
