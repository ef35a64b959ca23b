"""A client of our own that signs in and walks a door, as a user would."""

from __future__ import annotations

import json
from typing import Any

import urllib3
from django.conf import settings


def legacy_door(name: str, password: str, tenant: str = "") -> str:
    """What goes wrong; empty when nothing does."""
    form = {"username": name, "password": password} | ({"tenant_id": tenant} if tenant else {})
    status, signed = _ask("POST", "/api/auth/login", json=form)
    if status != 200:
        return f"Signing in answers {status}."
    status, me = _ask("GET", "/api/auth/me", token=signed.get("access_token", ""))
    if status != 200 or name not in (me.get("username"), me.get("email")):
        return f"/api/auth/me answers {status}."
    status, _ = _ask("POST", "/api/auth/refresh", json={"refresh_token": signed.get("refresh_token", "")})
    return "" if status == 200 else f"Refreshing answers {status}."


def new_door(name: str, password: str, tenant: str = "") -> str:
    form = {"username": name, "password": password} | ({"tenant_id": tenant} if tenant else {})
    status, signed = _ask("POST", "/api/v1/auth/login", json=form)
    if status != 200:
        return f"Signing in answers {status}."
    status, _ = _ask("GET", "/api/v1/me", token=signed.get("access_token", ""))
    return "" if status == 200 else f"/api/v1/me answers {status}."


_pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=15), retries=False)


def _ask(method: str, path: str, token: str = "", **options: Any) -> tuple[int, dict[str, Any]]:
    """Status 0 is no answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = json.dumps(options["json"]).encode() if "json" in options else None
    if body:
        headers["Content-Type"] = "application/json"
    try:
        answer = _pool.request(method, f"{settings.ISSUER}{path}", body=body, headers=headers, redirect=False)
        found = answer.json() if answer.status == 200 else {}
    except (urllib3.exceptions.HTTPError, ValueError):
        return 0, {}
    return answer.status, found if isinstance(found, dict) else {}
