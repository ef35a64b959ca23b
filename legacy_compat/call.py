"""A legacy request, parsed once at the door: what it asks for, of whom, and as whom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError

from iam import bearers
from iam.licences import find
from iam.models import License
from iam.sign_in import identify
from legacy_compat import versions
from legacy_compat.contracts.protocol import Contract, Credentials
from legacy_compat.contracts.shapes import Answer
from legacy_compat.versions import Version

MOST_BYTES = 1_000_000
LOGINS = ("auth/login", "auth/v1/login")
SIGN_INS = (*LOGINS, "auth/refresh")
"""Where tokens are given, whatever token comes along."""
_NO_TEXT = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class LegacyCall:
    """What a legacy client asks. `tenant` and `user` are those it is about, as far as it says; empty where it does not."""

    method: str
    path: str
    version: Version
    client: str
    ip: str
    agent: str
    query: Mapping[str, str]
    token: str
    body: Callable[[], Mapping[str, Any]]
    content: Callable[[], bytes] = bytes
    content_type: str = ""
    credentials: Credentials | Answer | None = None
    """Of a login; the answer where it names none."""
    licence: License | None = None
    """Of a validation: the licence that it asks about, whose tenant decides who answers."""
    apart: bool = False
    """Of a login without a tenant: whether users of that name live in both systems."""
    about: bearers.About = field(default_factory=bearers.About)

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The body's fields, parsed by who needs them: what is passed on need not be well-formed."""
        return self.body()

    @property
    def tenant(self) -> str:
        return self.about.tenant

    @property
    def user(self) -> str:
        return self.about.user

    @property
    def licence_key(self) -> Any:
        """The licence key that a validation names, in its path, its query or its body."""
        in_path = self.path.removeprefix("licenses/validate").lstrip("/")
        return in_path or self.query.get("license_key") or self.fields.get("license_key")

    def text(self, name: str) -> str | None:
        """A field of the body, if it is there and text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else None


def read(request: HttpRequest, path: str, contract: Contract) -> LegacyCall:
    """Parse the request, and look up whom it is about: of a login, a refresh or a validation what it names itself, whatever
    token comes along; else the token's."""
    call = parse(request, path)
    if path in LOGINS and call.method == "POST":
        credentials = contract.credentials(request.content_type or "", call.fields)
        if isinstance(credentials, Answer):
            return replace(call, credentials=credentials)
        meant = identify(credentials.name, credentials.tenant)
        about = bearers.About(meant.tenant, meant.user)
        return replace(call, credentials=credentials, about=about, apart=meant.apart)
    if path == "auth/refresh":
        return replace(call, about=bearers.about(call.text("refresh_token") or ""))
    if path == "licenses/validate" or path.startswith("licenses/validate/"):
        key = call.licence_key
        licence = find(key) if isinstance(key, str) and key else None
        tenant = str(licence.tenant_id or "") if licence else ""
        return replace(call, licence=licence, about=bearers.About(tenant))
    return replace(call, about=bearers.about(call.token) if call.token else bearers.About())


def parse(request: HttpRequest, path: str) -> LegacyCall:
    """What the request itself says, without a look into any database."""
    return LegacyCall(
        method=request.method or "GET",
        path=path,
        version=versions.asked(request),
        client=_client(request),
        ip=request.META.get("REMOTE_ADDR", ""),
        agent=request.headers.get("User-Agent", ""),
        query=request.GET.dict(),
        token=bearer(request),
        body=lambda: _fields(request) if request.method in ("POST", "PUT", "PATCH") else {},
        content=lambda: _content(request),
        content_type=request.content_type or "",
    )


def _content(request: HttpRequest) -> bytes:
    return b"" if int(request.headers.get("Content-Length") or 0) > MOST_BYTES else request.body


def _fields(request: HttpRequest) -> dict[str, Any]:
    """The body's fields: of a form, or of a JSON object; nothing else has any. What is not text is left out."""
    if int(request.headers.get("Content-Length") or 0) > MOST_BYTES:
        return {}  # no call of ours is that long: it is for the proxy to stream
    body = request.body  # before Django parses the form: a proxy needs the bytes as they came
    try:
        content = json.loads(body or b"{}") if request.content_type == "application/json" else request.POST.dict()
    except (ValueError, RecursionError, SuspiciousOperation, MultiPartParserError):
        return {}
    return {name: value for name, value in content.items() if _is_text(value)} if isinstance(content, dict) else {}


def _is_text(value: Any) -> bool:
    """Half a surrogate pair is no text: such a field counts as missing."""
    return not isinstance(value, str) or not _NO_TEXT.search(value)


def _client(request: HttpRequest) -> str:
    """Which program is asking, as far as it says: by its header, else by the first word of its User-Agent."""
    named = request.headers.get(settings.LEGACY_CLIENT_HEADER, "").strip()
    return (named or request.headers.get("User-Agent", "").strip().partition(" ")[0] or "(unnamed)")[:100]


def bearer(request: HttpRequest) -> str:
    """The token that came along, or an empty string."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
