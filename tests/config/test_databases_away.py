"""A database that is away, or keeps silent as behind a network that swallows everything: each page says so, and soon."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.auth.models import User as Operator

from tests import builders
from tests.console.browsing import words
from tests.gates import Gate
from tests.iam.oauth.conftest import csrf
from tests.world import World

NAMES = {"portal": "DATABASE_URL", "legacy": "LEGACY_DATABASE_URL", "iam": "IAM_DATABASE_URL"}
PASSWORD = "secret-pass-1"
SOON = 4.0
NEEDS = {
    "legacy": ("/admin/cutover/",),
    "iam": (
        "/admin/", "/admin/runs/run/1/change/", "/admin/runs/run/1/report/", "/admin/runs/quarantinedrow/",
        "/admin/cutover/", "/admin/cutover/stray/", "/admin/capabilities/", "/admin/schema/appliedscript/",
    ),
}  # fmt: skip
"""Pages that cannot be made without it."""
OTHERS = (
    "/admin/runs/run/",
    "/admin/inventory/inventory/",
    "/admin/decommission/?counted",
    "/admin/features/?counted",
    "/admin/health/",
)


@pytest.mark.parametrize("how", ["shut", "mute"])
@pytest.mark.parametrize("side", list(NAMES))
def test_every_page_says_which_one_and_soon(world: World, side: str, how: str) -> None:
    world.sample()
    builders.migrated(world, capture=True)
    place = urlsplit(world.url(side))
    gate = Gate(place.hostname or "", place.port or 0)
    through = place._replace(netloc=place.netloc.replace(f":{place.port}", f":{gate.port}")).geturl()
    site = world.site(**{NAMES[side]: through})
    Operator.objects.create_superuser("ann", password=PASSWORD)
    browser = requests.Session()
    form = {"username": "ann", "password": PASSWORD, "next": "/admin/"}
    token = csrf(browser.get(f"{site}/admin/login/"))
    dashboard = browser.post(f"{site}/admin/login/?next=/admin/", form | {"csrfmiddlewaretoken": token})
    token = csrf(browser.get(f"{site}/admin/runs/run/"))
    assert dashboard.status_code == 200
    getattr(gate, how)()

    def asked(method: str, path: str, **data: str) -> requests.Response:
        begun = time.monotonic()
        answer = browser.request(method, site + path, data=data or None, timeout=60)
        assert time.monotonic() - begun < SOON, path
        return answer

    for path in (*NEEDS.get(side, ()), *OTHERS):
        answer = asked("GET", path)
        assert answer.status_code in (200, 503), path
        if side == "portal" or path in NEEDS.get(side, ()):
            assert "not answer" in words(answer) and ("own" if side == "portal" else side) in words(answer).lower(), (
                path
            )
    answer = asked("POST", "/admin/runs/run/start/", csrfmiddlewaretoken=token)
    assert "not answer" in words(answer) or "Run 1 of this plan" in words(answer)
