"""Where an OAuth client may send its users back to."""

from __future__ import annotations

from urllib.parse import urlsplit


def fit(uri: str) -> bool:
    """RFC 9700: compared exactly, no fragment, encrypted but on the loopback or in an app's own scheme."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    unsafe = parts.scheme in ("javascript", "data", "file", "vbscript", "") or (parts.scheme == "http" and not here)
    return not (unsafe or parts.fragment or "*" in uri or (parts.scheme in ("http", "https") and not parts.hostname))
