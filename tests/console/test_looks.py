"""Every page in a browser, light and dark, wide and narrow: no serious finding of axe, nothing wider than the screen, a title."""

from __future__ import annotations

import itertools
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User

from tests.console.lived_in import addresses
from tests.console.lived_in import lived_in as lived_in  # the fixture
from tests.journeys.test_browser import page as page
from tests.journeys.test_browser import site as site
from tests.sampling import some
from tests.world import World

LOOKS = list(itertools.product(("light", "dark"), (1400, 390)))
_SERIOUS = ("serious", "critical")
_LOOKED_AT = {"exclude": [[".CodeMirror-scroll"]]}
"""Not the editor's part that scrolls, which its field moves by keyboard."""


def test_no_page_keeps_anybody_out(world: World, lived_in: dict[str, str], site: str, page: Any) -> None:
    User.objects.filter(username="anna").update(is_superuser=True)
    whole = [address for _, address in addresses(lived_in) if _is_page(page, f"{site}{address}")]
    assert len(whole) > 90
    found = []
    for (theme, width), address in some(list(itertools.product(LOOKS, whole)), 40, "looks"):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(f"localStorage.setItem('adminTheme', JSON.stringify('{theme}'))")
        page.goto(f"{site}{address}")
        found += [f"{theme} {width} {address}: {trouble}" for trouble in _troubles(page)]
    assert not found, "\n".join(found)


def _is_page(page: Any, url: str) -> bool:
    """Whether a browser shows it by itself: neither a part of a page, nor a file, nor where only forms are sent."""
    answer = page.request.get(url)
    return answer.status == 200 and "<!doctype html" in answer.text()[:2000].lower()


def _troubles(page: Any) -> list[str]:
    said = [
        f"{each['id']} at {each['nodes'][0]['html'][:150]} {each['nodes'][0]['failureSummary'][:250]}"
        for each in Axe().run(page, context=_LOOKED_AT).response["violations"]
        if each["impact"] in _SERIOUS
    ]
    if (over := page.evaluate("document.documentElement.scrollWidth - window.innerWidth")) > 0:
        said.append(f"{over} px wider than the screen")
    if not page.title().partition("|")[0].strip():
        said.append("no title")
    return said
