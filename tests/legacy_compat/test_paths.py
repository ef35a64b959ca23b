"""The path as it came."""

from __future__ import annotations

from typing import Any

from legacy_compat import paths


def test_every_character_that_a_request_line_may_hold_stays_as_it_was(rf: Any) -> None:
    path = "/api/" + "".join(map(chr, range(0x21, 0x7F)))
    request = rf.get("/api/x")
    request.META["REQUEST_URI"] = f"{path} \x7f"
    assert paths.raw(request) == f"{path}%20%7F"
