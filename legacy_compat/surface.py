"""What of the released service's surface is not served here, and why.

An endpoint about data that has moved is served (serve.py). All else under /api/ goes on to legacy, for a moved tenant too, as
long as there is a legacy system. What the released service answered outside of /api/ is answered by nobody here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

_CRUD = ("POST", "GET", "PUT", "DELETE")
_ONE = ("GET", "PUT", "DELETE")


@dataclass(frozen=True, order=True)
class Endpoint:
    """`path` is below /api/, or begins with a slash; a part in braces stands for any value."""

    path: str
    method: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path if self.path.startswith('/') else f'/api/{self.path}'}"


def _group(path: str, methods: Iterable[str] = ("GET",)) -> list[Endpoint]:
    return [Endpoint(path, method) for method in methods]


_CATALOGUE = ("products", "plans", "features", "templates", "subscriptions")
PASSED_ON: dict[Endpoint, str] = {
    endpoint: why
    for endpoints, why in (
        (
            [*(e for kind in _CATALOGUE for e in (*_group(kind, ("POST", "GET")), *_group(f"{kind}/{{id}}", _ONE))),
             *_group("subscriptions/{id}/entitlements", _CRUD),
             *(e for kind in _CATALOGUE if kind != "templates" for e in _group(f"tenants/{{id}}/{kind}"))],
            "Its data does not move",
        ),
        (
            [*_group("licenses/issue"), *_group("licenses/validate-file", ("POST",)), *_group("licenses/generate-validator"),
             *_group("licenses/master-keys", ("GET", "POST")), *_group("licenses/master-keys/rotate", ("POST",)),
             *_group("licenses/master-keys/override", ("POST",)), *_group("licenses/master-keys/current-private")],
            "The master keys stay with legacy: a file that they sign is made and read where they are",
        ),
    )
    for endpoint in endpoints
}  # fmt: skip
GIVEN_UP: dict[Endpoint, str] = {
    endpoint: why
    for endpoints, why in (
        (
            [*_group("/oauth/v1/token", ("POST",)), *_group("/oauth/v1/introspect", ("POST",))],
            "It never issued a token; the IAM's OAuth server is at /oauth/token",
        ),
        (
            [
                *_group("/admin/tenants", ("POST",)),
                *_group("/admin/templates", ("POST",)),
                *_group("/admin/{kind}/list"),
            ],
            "It showed and made everything for anybody; /admin/ is the console here",
        ),
    )
    for endpoint in endpoints
}


@cache
def pattern(path: str) -> re.Pattern[str]:
    """{key} is a part of the path; {key:path} may hold slashes."""
    parts = re.split(r"\{(\w+)(:path)?\}", path)
    text = re.escape(parts[0])
    for _, deep, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += ("(.+)" if deep else "([^/]+)") + re.escape(rest)
    return re.compile(text)
