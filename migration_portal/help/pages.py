"""The documentation as pages of the console: which there are, which one is about a screen, and each as HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from markdown import Markdown

FIRST = "runbook"
_SCREENS = {
    "/admin/": FIRST, "/admin/runs/": FIRST, "/admin/inventory/": FIRST, "/admin/preflight/": "plan-file",
    "/admin/plan/": "plan-file", "/admin/draft/": "plan-file", "/admin/cutover/": "cut-over", "/admin/waves/": "cut-over",
    "/admin/decommission/": "cut-over", "/admin/rehearsal/": "rehearsal", "/admin/health/": "monitoring",
    "/admin/traffic/": "legacy-endpoints", "/admin/features/": "features", "/admin/capabilities/": "capabilities",
    "/admin/backups/": "backups", "/admin/rollback/": "roll-back", "/admin/rollback/matrix/": "decision-matrix",
    "/admin/checkpoints/": "deployment-plan", "/admin/deployment/": "deployment-plan", "/admin/notices/": "notices",
    "/admin/clients/": "new-api", "/admin/support/": FIRST, "/admin/audit/": "security", "/admin/auth/": "security",
    "/admin/approvals/": "approvals", "/admin/retention/": "security",
    "/admin/otp_totp/": "security", "/admin/second-factor/": "security", "/admin/schema/": "architecture",
}  # fmt: skip
"""By how a screen's path begins, the longest counting: the page about it."""


@dataclass(frozen=True)
class Page:
    """`body` is HTML: written by us, never by who uses it."""

    name: str
    title: str
    body: str
    contents: str


def about(path: str) -> str:
    """The page about a screen of the console."""
    begins = max((begin for begin in _SCREENS if path.startswith(begin)), key=len, default="/admin/")
    return _SCREENS[begins]


@cache
def titles() -> dict[str, str]:
    """Every page's name and title, sorted by title."""
    found = {
        file.stem: file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        for file in _directory().glob("*.md")
    }
    return dict(sorted(found.items(), key=lambda item: item[1].lower()))


@cache
def page(name: str) -> Page:
    """Raises KeyError for a page that is none."""
    title = titles()[name]
    made = Markdown(
        extensions=["tables", "fenced_code", "toc", "sane_lists"], extension_configs={"toc": {"toc_depth": "2"}}
    )
    body = made.convert((_directory() / f"{name}.md").read_text(encoding="utf-8").partition("\n")[2])
    return Page(name, title, _LINK.sub(_within, _PICTURE.sub("", body)), made.toc)  # type: ignore[attr-defined]


def _directory() -> Path:
    return Path(settings.BASE_DIR) / "docs"


_PICTURE = re.compile(r"<p><img [^>]*></p>")
"""They are of the console: who reads this has the screen itself."""
_LINK = re.compile(r'<a href="(?!https?:|#)([^"#]*)(#[^"]*)?">(.*?)</a>', re.DOTALL)


def _within(link: re.Match[str]) -> str:
    """A link to another page stays in the console; one to a file of the project is its name alone."""
    target, anchor, text = link[1], link[2] or "", link[3]
    name = target.removesuffix(".md")
    return f'<a class="p-link" href="/admin/help/{name}/{anchor}">{text}</a>' if name in titles() else text
