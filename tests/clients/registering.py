"""A form filled in by an operator."""

from __future__ import annotations

FORM = {
    "client_name": "Field App", "client_type": "confidential", "redirect_uris": "https://app.example.org/callback",
    "tenant": "", "grants": ["authorization_code", "refresh_token"], "scopes": ["openid"],
}  # fmt: skip
