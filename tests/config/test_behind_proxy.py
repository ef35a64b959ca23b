"""Only what the balancer itself saw counts as the client's address."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from config.behind_proxy import client_address


@pytest.mark.parametrize(
    ("sent", "seen"),
    [("203.0.113.9", "203.0.113.9"), ("1.1.1.1, 203.0.113.9", "203.0.113.9"), ("2001:db8::1", "2001:db8::1"), ("", "127.0.0.1"),
     ("<script>", "127.0.0.1")],
)  # fmt: skip
def test_the_last_address_counts(sent: str, seen: str) -> None:
    request = RequestFactory().get("/", headers={"X-Forwarded-For": sent})
    client_address(lambda request: HttpResponse())(request)
    assert request.META["REMOTE_ADDR"] == seen
