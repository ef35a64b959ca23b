"""Objects of the new API."""

from __future__ import annotations

from tests.iam.conftest import Api, uid

ADMIN, USER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


def new_user(api: Api, **fields: str) -> str:
    body = {"username": uid(), "email": f"{uid()}@example.org", "password": "a longer password"} | fields
    answer = api.call("POST", "/users", **body)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])
