"""Whatever is sent to whichever address: an answer that says so, and never a 500."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User as Operator
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from legacy_compat.serve import ENDPOINTS
from tests.iam.conftest import Api
from tests.iam.conftest import api as api
from tests.legacy_compat.conftest import PASSWORD
from tests.sampling import ALL, some
from tests.world import World

DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"), "NUL": (b'{"username":"a\\u0000b","password":"\\u0000"}', "application/json"),
    "bytes": (bytes(range(256)), "application/json"), "deep": (DEEP, "application/json"),
    "deep object": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json"),
    "list": (b"[1,2]", "application/json"), "number": (b"1e999", "application/json"),
    "huge numbers": (b'{"name":"n","slug":"s1","max_licenses":1e12,"validity_days":1e30,"page":9e99}', "application/json"),
    "infinity": (b'{"name":"n","slug":"s2","max_licenses":Infinity,"validity_days":NaN}', "application/json"),
    "twice": (b'{"username":"a","username":{"b":1},"password":[]}', "application/json"),
    "surrogate": (b'{"username":"\\ud800","license_key":"\\udfff","slug":"\\ud800","name":"x"}', "application/json"),
    "form": (b"username=%00&password=%ff&tenant_id=%00&credentials=%00", "application/x-www-form-urlencoded"),
    "form bytes": (bytes(range(1, 256)), "application/x-www-form-urlencoded"),
    "form twice": (b"username=a&username=b&" * 2000, "application/x-www-form-urlencoded"),
    "multipart": (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
    "no boundary": (b"--x\r\n", "multipart/form-data"), "charset": (b'{"a":1}', "application/json; charset=klingon"),
    "xml": (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "application/xml"),
}  # fmt: skip
QUERIES = [
    "page=9223372036854775807&size=9223372036854775807&skip=9223372036854775808&limit=1", "page=-1&size=0&skip=-1&limit=-5",
    "page=%00&size=%ff&skip=1e5&license_key=%00", "page=1&page=a&version=%00", "license_key=" + "x" * 20_000,
    "page=١&size=١٠", "version=v2.0&page=9223372036854775807",
]  # fmt: skip
KEYS = ["%00", "%ff%fe", "x" * 5000, "0" * 32, "%E2%80%AE", "a/../b", "-1", "9" * 30]


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def quiet() -> Client:
    return Client(raise_request_exception=False)


def filled(path: str, key: str = "0" * 32) -> str:
    return re.sub(r"\{[^}]+\}", lambda _: key, path)


def test_legacy_endpoints(api: Api) -> None:
    old = quiet().post("/api/auth/login", {"username": api.admin.username, "password": PASSWORD}).json()["access_token"]
    client, failed = quiet(), []
    sent = list(itertools.product(sorted(ENDPOINTS), BODIES.items(), ("", old)))
    for endpoint, (kind, body), token in some(sent, len(sent) // 3, "legacy's endpoints"):
        method, path = endpoint.method, filled(endpoint.path)
        headers = {"Authorization": f"Bearer {token}"} if token and path != "auth/logout" else {}
        answer = client.generic(method, f"/api/{path}", body[0], body[1], headers=headers)
        failed += [f"{method} {path} {kind}"] if answer.status_code >= 500 else []
    headers = {"Authorization": f"Bearer {old}"}
    asked = list(itertools.product(sorted(ENDPOINTS), QUERIES))
    for endpoint, query in some(asked, len(asked) // 2, "legacy's queries"):
        method, path = endpoint.method, filled(endpoint.path)
        answer = client.generic("GET" if method == "GET" else method, f"/api/{path}?{query}", headers=headers)
        failed += [f"{method} {path}?{query[:40]}"] if answer.status_code >= 500 and path != "auth/logout" else []
    for endpoint, key in itertools.product([each for each in sorted(ENDPOINTS) if "{" in each.path], KEYS):
        method, path = endpoint.method, filled(endpoint.path, key)
        answer = client.generic(method, f"/api/{path}", headers=headers)
        failed += [f"{method} {path[:60]}"] if answer.status_code >= 500 else []
    assert failed == []


@pytest.mark.parametrize("kind", some(list(BODIES), 6, "the new API"))
def test_the_new_api(api: Api, kind: str) -> None:
    client, failed = quiet(), []
    document = client.get("/api/v1/openapi.json").json()
    for path, operations in document["paths"].items():
        for method in operations:
            token = "x.y" if path.endswith("logout") else api.token
            address = path.replace("{", "").replace("}", "") if "{" not in path else path.partition("{")[0] + "0" * 32
            headers = {"Authorization": f"Bearer {token}"}
            body, content_type = BODIES[kind]
            answer = client.generic(method.upper(), address, body, content_type, headers=headers)
            failed += [f"{method} {path}: {answer.status_code}"] if answer.status_code >= 500 else []
    assert [each for each in failed if "/me/mfa" not in each] == []


def test_oauth_endpoints(api: Api) -> None:
    client, failed = quiet(), []
    for path, (kind, (body, content_type)) in itertools.product(
        ("token", "introspect", "revoke", "userinfo", "sign-in", "authorize", "withdraw", "second-factor"),
        BODIES.items(),
    ):
        answer = client.generic("POST", f"/oauth/{path}", body, content_type)
        failed += [f"{path} {kind}: {answer.status_code}"] if answer.status_code >= 500 else []
    for query in [
        *QUERIES,
        "client_id=%00&response_type=code&nonce=%00",
        "next=%00&linking=%00",
        "state=%ff&scope=%00",
    ]:
        for path in ("authorize", "sign-in", "welcome", "social/%00/", "social/x/callback"):
            answer = client.get(f"/oauth/{path}?{query}")
            failed += [f"{path}?{query[:40]}: {answer.status_code}"] if answer.status_code >= 500 else []
    assert failed == []


def pages(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """Every address of the console, with something odd for each of its parts."""
    for each in resolver.url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from pages(each, route)
        elif isinstance(each, URLPattern):
            yield route


def console() -> list[str]:
    found = {route for route in pages(get_resolver()) if route.startswith("admin/") and "(?P" not in route}
    return sorted(re.sub(r"<[^>]*>", "PART", route) for route in found)


PARTS = ("%00", "9" * 30, "00000000-0000-0000-0000-000000000000", "x")
ODD = [
    "q=%00",
    "p=9223372036854775807",
    "o=9999.-9999",
    "nonsense__exact=1",
    "id__gt=%00",
    "e=1&_popup=%00",
    "page=%ff&since=%00",
]


def test_the_console(world: World) -> None:
    client, failed = quiet(), []
    client.force_login(Operator.objects.create_superuser("fuzz", password="x"))
    routes, in_turn = console(), itertools.cycle(ODD)
    assert len(routes) > 60
    for route in routes:
        for part in PARTS if "PART" in route else ("x",):
            address = "/" + route.replace("PART", part)
            many = 1 if part != "x" else len(ODD) if ALL else 2
            for query in itertools.islice(in_turn, many):
                answer = client.get(f"{address}?{query}")
                body: Any = getattr(answer, "streaming_content", [])
                try:
                    b"".join(body)
                except Exception as error:  # an answer that breaks off
                    failed.append(f"{address}?{query}: {type(error).__name__}")
                failed += [f"{address}?{query}: {answer.status_code}"] if answer.status_code >= 500 else []
    assert failed == [], json.dumps(failed, indent=1)
