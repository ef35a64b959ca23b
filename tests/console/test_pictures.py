"""The pictures of the docs are taken here, by `make pictures`, of a portal in the middle of its migration."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from tests.console.lived_in import addresses
from tests.console.lived_in import lived_in as lived_in  # the fixture
from tests.journeys.test_browser import page as page
from tests.journeys.test_browser import site as site
from tests.world import World

DOCS = Path(settings.BASE_DIR) / "docs"
PICTURES = {
    "dashboard": ("admin/", "runbook"),
    "report": ("admin/runs/run/<int:pk>/report/", "runbook"),
    "cut-over": ("admin/cutover/", "cut-over"),
    "feature": ("admin/features/<slug:name>/", "features"),
    "audit": ("admin/audit/event/", "security"),
    "draft": ("admin/draft/", "plan-file"),
    "backups": ("admin/backups/", "backups"),
    "roll-back": ("admin/rollback/", "roll-back"),
}
"""By name: of which page of the console, and which page of the docs shows it."""
_SIZE = (1400, 900)


def test_pictures_are_of_pages_that_are_there(world: World, lived_in: dict[str, str], site: str, page: Any) -> None:
    User.objects.filter(username="anna").update(is_superuser=True)
    page.set_viewport_size({"width": _SIZE[0], "height": _SIZE[1]})
    there = dict(addresses(lived_in))
    for name, (pattern, _) in PICTURES.items():
        page.goto(f"{site}{there[pattern]}")
        page.wait_for_load_state("networkidle")
        taken, kept = page.screenshot(), DOCS / "pictures" / f"{name}.png"
        if os.environ.get("PORTAL_PICTURES"):
            kept.write_bytes(taken)
        assert struct.unpack(">II", kept.read_bytes()[16:24]) == _SIZE, f"make pictures: {name}"


@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_is_shown_by_its_page(name: str) -> None:
    assert f"](pictures/{name}.png)" in (DOCS / f"{PICTURES[name][1]}.md").read_text(encoding="utf-8")


def test_no_picture_is_left_over() -> None:
    assert {file.stem for file in (DOCS / "pictures").iterdir()} == PICTURES.keys()
