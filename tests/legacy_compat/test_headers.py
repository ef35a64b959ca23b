"""What stands around an answer."""

from __future__ import annotations

from typing import Any

from tests.legacy_compat.served.conftest import Caller, credentials
from tests.legacy_compat.served.conftest import boss as boss
from tests.legacy_compat.served.conftest import plain as plain
from tests.legacy_compat.served.conftest import world as world


def test_a_slash_missing_or_extra_is_a_redirection(boss: Caller) -> None:
    for wrong, right in (
        ("/api/tenants/?page=2", "/api/tenants?page=2"),
        ("/api/v1/sessions/x/", "/api/v1/sessions/x"),
    ):
        answer = boss("GET", wrong)
        assert (answer.status_code, answer["Location"]) == (307, f"http://testserver{right}")


def test_the_wrong_verb_is_told(boss: Caller) -> None:
    for method in ("PATCH", "HEAD"):
        answer = boss(method, "/api/tenants")
        assert answer.status_code == 405
    assert boss("PATCH", "/api/tenants").json() == {"detail": "Method Not Allowed"}


def test_no_header_of_ours_goes_out(boss: Caller) -> None:
    names = {name.lower() for name in boss("GET", "/api/auth/me", Origin="https://app.example").headers}
    assert names <= {
        "content-type",
        "content-length",
        "deprecation",
        "link",
        "x-request-id",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "access-control-allow-origin",
        "access-control-allow-credentials",
    }, names


def test_another_origin_may_ask(boss: Caller) -> None:
    answer = boss("GET", "/api/auth/me", Origin="https://app.example")
    assert (answer["Access-Control-Allow-Origin"], answer["Access-Control-Allow-Credentials"]) == ("*", "true")
    assert "Access-Control-Allow-Origin" not in boss("GET", "/api/auth/me").headers


def test_a_browser_that_asks_whether_it_may_ask_is_answered(boss: Caller) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    answer = boss("OPTIONS", "/api/auth/me", **asked)
    assert (answer.status_code, answer.content, answer["Access-Control-Allow-Origin"]) == (200, b"OK", asked["Origin"])
    assert boss("OPTIONS", "/api/auth/me", Origin=asked["Origin"]).status_code == 405


def test_health(boss: Caller, settings: Any) -> None:
    settings.LEGACY_SERVED_BY = "iam"
    assert boss.client.get("/api/health").json() == {"status": "healthy"}


def test_calls_are_counted_by_token(boss: Caller, plain: Caller, settings: Any) -> None:
    settings.AUTH_CALLS_A_MINUTE, settings.OTHER_CALLS_A_MINUTE = 2, 3
    seen = [boss("GET", "/api/auth/me") for _ in range(3)]
    assert [(each.status_code, each.headers.get("X-RateLimit-Remaining")) for each in seen] == [
        (200, "1"),
        (200, "0"),
        (429, None),
    ]
    assert seen[2]["Retry-After"] == "60"
    assert plain("GET", "/api/auth/me").status_code == 200
    signed_in = boss.client.post("/api/auth/login", credentials(boss.user))
    assert (signed_in["X-RateLimit-Limit"], signed_in["X-RateLimit-Remaining"]) == ("2", "1")
    assert [boss("GET", "/api/tenants").status_code for _ in range(4)] == [200, 200, 200, 429]
