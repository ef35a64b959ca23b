"""The path as it came: what is passed on to legacy must be the path that was judged here."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, unquote_to_bytes

from django.http import HttpRequest
from django.utils.encoding import repercent_broken_unicode

from legacy_compat.contracts.shapes import Answer

BAD_PATH = Answer(400, {"detail": "Bad path"})
NO_LENGTH = Answer(411, {"detail": "Length Required"})
_KEYS = "/api/licenses/validate/"
"""What follows is a licence key, and may hold two slashes in a row."""


def raw(request: HttpRequest) -> str:
    """The path and query as the client wrote them, byte for byte; what no request line holds is percent-encoded."""
    sent = request.META.get("REQUEST_URI") or request.get_full_path()
    if absolute := _ABSOLUTE.match(sent):
        sent = sent[absolute.end() :]
    return quote(sent.encode("latin-1", "replace"), safe=_WRITTEN)


_ABSOLUTE = re.compile(r"https?://[^/?#]+(?=/)", re.IGNORECASE)
"""The form of RFC 9112 §3.2.2, up to its path."""
_WRITTEN = "".join(map(chr, range(0x21, 0x7F)))


def slash(request: HttpRequest, template: str | None) -> Answer | None:
    """The way to the address as the released service writes it, where a slash at the end is missing or too much."""
    path, mark, query = raw(request).partition("?")
    if template is None or template.endswith(":path}") or path.endswith("/") == template.endswith("/"):
        return None
    right = path.rstrip("/") + ("/" if template.endswith("/") else "")
    return Answer(307, b"", {"Location": f"{request.scheme}://{request.get_host()}{right}{mark}{query}"})


def refusal(request: HttpRequest) -> Answer | None:
    """Why a request is neither answered nor passed on: its path may mean another one to whom it is passed, or its body has
    no length."""
    if request.headers.get("Transfer-Encoding"):
        return NO_LENGTH
    path = raw(request).partition("?")[0]
    meant = repercent_broken_unicode(unquote_to_bytes(path)).decode()  # as Django reads it
    if not path.startswith("/") or meant != request.path_info:
        return BAD_PATH  # routed and throttled by one path, passed on by another
    segments = path.removesuffix("/").split("/")[1:]
    if any(part in (".", "..") for part in unquote(path).replace("\\", "/").split("/")):
        return BAD_PATH
    return BAD_PATH if "" in segments and not path.startswith(_KEYS) else None
