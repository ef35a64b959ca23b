"""Which version of the API a legacy request asks for, and what a client of an old one is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import parse_header_parameters


@dataclass(frozen=True)
class Version:
    """One version, and since when it is deprecated."""

    name: str
    names: frozenset[str]
    deprecated: date | None = None


OLD = Version("v1.0", frozenset({"v1.0", "1.0"}), deprecated=date(2025, 12, 31))
NEW = Version("v2.0", frozenset({"v2.0", "2.0"}))
_SUCCESSORS = {
    "auth/login": "auth/login", "auth/refresh": "auth/refresh", "auth/logout": "auth/logout", "auth/me": "me",
    "auth/change-password": "me/password", "auth/users": "users", "users": "users", "tenants": "tenants",
    "licenses": "licenses", "licenses/validate": "licenses/validate",
}  # fmt: skip
_VENDOR = "vnd.sigma."


def asked(request: HttpRequest) -> Version:
    """The version named by Accept or by the parameter `version`, compared exactly; the old one where none is."""
    named = {request.GET.get("version", "")}
    for part in request.headers.get("Accept", "").split(","):
        try:
            full, parameters = parse_header_parameters(part.strip())
        except (ValueError, TypeError, IndexError):  # parameters in pieces that do not fit, or of no known encoding
            continue
        named.add(parameters.get("version", ""))
        # application/vnd.sigma.v2.0+json
        kind = full.partition("/")[2]
        if kind.startswith(_VENDOR):
            named.add(kind.removeprefix(_VENDOR).partition("+")[0])
    return NEW if named & NEW.names else OLD


def successor(path: str) -> str | None:
    """The new API's address for a legacy endpoint, or None where it has none."""
    if path.startswith("auth/users/"):
        return f"/api/v1/users/{path.removeprefix('auth/users/')}"
    address = _SUCCESSORS.get(path)
    return f"/api/v1/{address}" if address else None


def headers(path: str) -> dict[str, str]:
    """What the answer to a client of the old version says of its future: RFC 9745, RFC 8594, RFC 8288."""
    values = {}
    if OLD.deprecated is not None:
        values["Deprecation"] = f"@{int(datetime.combine(OLD.deprecated, time(), UTC).timestamp())}"
    if settings.LEGACY_SUNSET:
        end = datetime.combine(date.fromisoformat(settings.LEGACY_SUNSET), time(), UTC)
        values["Sunset"] = format_datetime(end, usegmt=True)
    if following := successor(path):
        values["Link"] = f'<{settings.ISSUER}{following}>; rel="successor-version"'
    return values
