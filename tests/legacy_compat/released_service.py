"""The released service as a stand-in that says what was recorded of it, whatever it is asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ID, TENANT = "6b1f0c1e-8d0a-4c39-9a51-0d7f6d3b7a10", "0f2a1c9e-5a0b-4d53-8f1e-2b7c6d5e4f30"
USER = {
    "tenant_id": TENANT, "email": "ann@example.org", "username": "ann", "full_name": "Ann O&#x27;Brien", "is_active": True,
    "is_superuser": False, "is_verified": False, "oauth_provider": None, "oauth_id": None, "sso_provider": None, "sso_id": None,
    "avatar_url": None, "bio": None, "phone_number": None, "id": ID, "created_at": "2026-11-24T11:04:55.358926Z",
    "updated_at": "2026-11-24T11:04:55Z", "last_login": None,
}  # fmt: skip
LICENCE = {
    "id": ID, "license_key": "MIIBIjANBgkqhkiG9w0B/AQ+EFAAOCAQ8A", "tenant_id": TENANT, "tenant_name": "L", "template_id": None,
    "linked_subscription": None, "issued_at": "2026-11-01T00:00:00Z", "validity_days": 365, "payload": {},
}  # fmt: skip
T = {
    "name": "Ac&#x27;me &amp; Co", "slug": "acme", "is_active": True, "max_licenses": 5, "id": TENANT,
    "created_at": "2026-11-24T11:04:55Z",
}  # fmt: skip
TOKENS = {
    "access_token": "e.y.J", "refresh_token": "e.y.R", "token_type": "bearer", "expires_in": None, "scope": None, "id_token": None,
}  # fmt: skip
BEARER = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True)
class Recorded:
    """One answer. `text` is a body that is no JSON."""

    method: str
    path: str
    status: int
    body: Any = None
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return (
            self.text.encode()
            if self.text
            else json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


def _page(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "total": len(items), "page": 1, "size": 10, "pages": 1}


def _invalid(kind: str, loc: list[Any], msg: str, given: Any, **ctx: Any) -> dict[str, Any]:
    return {"detail": [{"type": kind, "loc": loc, "msg": msg, "input": given} | ({"ctx": ctx} if ctx else {})]}


RECORDED = [
    Recorded("POST", "/api/auth/login", 200, TOKENS),
    Recorded("POST", "/api/auth/login", 401, {"detail": "Incorrect username or password"}, headers=BEARER),
    Recorded("POST", "/api/auth/login", 400, {"detail": "Invalid credentials format"}),
    Recorded("POST", "/api/auth/login", 422, _invalid("missing", ["body", "tenant_id"], "Field required", None)),
    Recorded("POST", "/api/auth/v1/login", 500, text="Internal Server Error"),
    Recorded("POST", "/api/auth/refresh", 401, {"detail": "Invalid refresh token"}),
    Recorded("POST", "/api/auth/refresh", 400, {"detail": "Inactive user"}),
    Recorded("GET", "/api/auth/me", 200, USER),
    Recorded("GET", "/api/auth/me", 401, {"detail": "Not authenticated"}, headers=BEARER),
    Recorded("GET", "/api/auth/me", 400, {"detail": "Inactive user"}),
    Recorded("GET", "/api/auth/users", 200, [USER]),
    Recorded("GET", "/api/auth/users?skip=a", 422, _invalid(
        "int_parsing", ["query", "skip"], "Input should be a valid integer, unable to parse string as an integer", "a")),
    Recorded("GET", f"/api/auth/users/{ID}", 404, {"detail": "User not found"}),
    Recorded("PUT", f"/api/auth/users/{ID}", 200, USER),
    Recorded("DELETE", f"/api/auth/users/{ID}", 400, {"detail": "Cannot delete your own account"}),
    Recorded("GET", "/api/auth/v1/users", 200, _page(USER)),
    Recorded("GET", "/api/auth/v1/users/export?format=json", 200, {"users": [], "total": 0, "exported_at": "2026-11-24T11:04:55Z"}),
    Recorded("PATCH", f"/api/auth/v1/users/{ID}/activate", 200, USER),
    Recorded("POST", "/api/auth/v1/reset-password", 400, {"detail": "Invalid reset token"}),
    Recorded("GET", "/api/users", 404, {"detail": "Not Found"}),
    Recorded("GET", "/api/tenants", 200, _page(T)),
    Recorded("GET", "/api/tenants?size=500", 422, _invalid(
        "less_than_equal", ["query", "size"], "Input should be less than or equal to 200", "500", le=200)),
    Recorded("POST", "/api/tenants", 400, {"detail": "Tenant slug already exists"}),
    Recorded("GET", "/api/tenants/", 307, text="", headers={"Location": "/api/tenants"}),
    Recorded("POST", "/api/licenses", 200, LICENCE),
    Recorded("GET", "/api/licenses", 200, _page(LICENCE)),
    Recorded("GET", "/api/licenses/validate/ABC", 200,
             {"valid": False, "error": "License is inactive", "details": "Linked subscription is trialing"}),
    Recorded("GET", "/api/licenses/validate/ABC", 500, {"detail": "Validation error: ..."}),
    Recorded("GET", "/api/licenses/validate/A/B", 404, {"detail": "Not Found"}),
    Recorded("GET", "/api/v1/roles/", 403, {"detail": "The user doesn't have enough privileges"}),
    Recorded("GET", "/api/v1/sessions/", 200, []),
    Recorded("GET", "/api/v1/applications/", 200, []),
    Recorded("GET", "/api/products", 200, _page({"name": "Sigma"})),
    Recorded("DELETE", f"/api/subscriptions/{ID}", 204, text=" "),
    Recorded("PATCH", "/api/tenants", 405, {"detail": "Method Not Allowed"}, headers={"Allow": "GET, POST"}),
    Recorded("GET", "/api/auth/me", 429,
             {"error": "Too Many Requests", "message": "Rate limit exceeded. Please try again later.", "retry_after": 60},
             headers={"Retry-After": "60", "X-RateLimit-Limit": "5", "X-Frame-Options": "DENY", "X-XSS-Protection": "1"}),
]  # fmt: skip


class ReleasedService:
    """Says `recorded`, and nothing else in the headers but what a server must."""

    def __init__(self) -> None:
        self.recorded = RECORDED[0]
        self.seen: list[tuple[str, str, str, bytes]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                sent = (self.command, self.path, self.headers.get("Authorization", ""), self.rfile.read(length))
                service.seen.append(sent)
                said = service.recorded
                self.send_response_only(said.status)
                self.send_header("Content-Type", "text/plain; charset=utf-8" if said.text else "application/json")
                for header in said.headers.items():
                    self.send_header(*header)
                if said.status != 204:
                    self.send_header("Content-Length", str(len(said.content)))
                self.end_headers()
                if said.status != 204:
                    self.wfile.write(said.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
