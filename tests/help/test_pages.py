"""The documentation as pages of the console, and its links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from config.console import UNFOLD
from migration_portal.help import pages
from tests.console.browsing import browser, words
from tests.world import World

DOCS = Path(settings.BASE_DIR) / "docs"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def anchors(file: Path) -> set[str]:
    return set(re.findall(r'id="([^"]+)"', pages.page(file.stem).body))


@pytest.mark.parametrize("file", sorted(DOCS.glob("*.md")), ids=lambda file: file.stem)
def test_every_link_of_a_page_leads_somewhere(file: Path) -> None:
    for target in LINK.findall(re.sub(r"```.*?```|`[^`]*`", "", file.read_text(), flags=re.DOTALL)):
        path, _, anchor = target.partition("#")
        if target.startswith("http"):
            continue
        there = (DOCS / path).resolve() if path else file
        assert there.exists(), target
        assert not anchor or there.suffix != ".md" or there.parent != DOCS or anchor in anchors(there), target


def test_each_page_opens_in_the_console_and_its_links_stay_there(world: World) -> None:
    client = browser("viewer")
    for name, title in pages.titles().items():
        page = client.get(f"/admin/help/{name}/")
        assert title in words(page)
        assert not re.search(r'href="[^"]*\.md', page.content.decode()), name


def test_a_page_that_is_none_is_not_found(world: World) -> None:
    client = browser("viewer")
    for name in ("nothing", "..%2f..%2fetc%2fpasswd", "README"):
        assert client.get(f"/admin/help/{name}/").status_code == 404, name


def test_the_menu_leads_to_the_page_about_the_screen(world: World) -> None:
    client = browser("operator")
    assert 'href="/admin/help/cut-over/"' in client.get("/admin/waves/").content.decode()
    assert 'href="/admin/help/backups/"' in client.get("/admin/backups/").content.decode()


def test_every_screen_of_the_menu_has_a_page() -> None:
    for group in UNFOLD["SIDEBAR"]["navigation"]:
        for item in group["items"]:
            if item["title"] != "Help":
                assert pages.about(str(item["link"])) in pages.titles(), item["title"]


def test_help_is_for_who_is_signed_in(world: World) -> None:
    from django.test import Client

    assert Client().get("/admin/help/").status_code == 302
