"""Help: the page about the screen that one comes from, and all others."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from migration_portal import console
from migration_portal.help import pages


def link(request: HttpRequest) -> str:
    """For the menu: to the page about the screen that is shown."""
    here = request.path.removeprefix("/admin/help/") if request.path.startswith("/admin/help/") else ""
    return f"/admin/help/{here.strip('/') or pages.about(request.path)}/"


def show(request: HttpRequest, name: str = pages.FIRST) -> HttpResponse:
    if name not in pages.titles():
        raise Http404
    found = pages.page(name)
    return console.page(request, "portal/help/page.html", found.title, page=found, titles=pages.titles())
