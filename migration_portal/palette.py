"""The command palette (⌘K, Ctrl K): pages, runs, tenants, features and help by their names, and the way to a person."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from flags.models import Flag, TenantHome
from migration_portal.help import pages
from migration_portal.runs.models import Run

_MOST = 8
_LONGEST = 18
"""Digits of a run's number: more are no number that the database knows."""


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """What the operator may see of what the words name, a few of each kind; people are not searched before somebody asks to."""
    found = (_pages, _runs, _tenants, _flags, _help, _people)
    return [each for kind in found for each in kind(request, term)]


def _pages(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    for group in admin.site.get_sidebar_list(request):  # type: ignore[attr-defined]
        for item in group["items"]:
            if item["has_permission"] and term in str(item["title"]).lower():
                link = str(item.get("link_callback") or item["link"])
                yield SearchResult(str(item["title"]), "Page", link, item["icon"])


def _runs(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    number = term.removeprefix("dry ").removeprefix("run").strip()
    if not (request.user.has_perm("runs.view_run") and number.isascii() and number.isdecimal()):
        return
    for run in Run.objects.filter(pk=int(number)) if len(number) <= _LONGEST else ():
        link = reverse("admin:runs_run_change", args=[run.pk])
        yield SearchResult(str(run), f"{run.plan_name}, {run.state}", link, "moving")


def _tenants(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    if not request.user.has_perm("flags.view_tenanthome"):
        return
    named = Q(name__icontains=term) | Q(tenant__istartswith=term) | Q(legacy_tenant__istartswith=term)
    for tenant in TenantHome.objects.filter(named).order_by("name", "pk")[:_MOST]:
        about = f"Tenant, at home in {tenant.get_home_display()}"
        yield SearchResult(str(tenant), about, reverse("cutover_tenant", args=[tenant.pk]), "apartment")


def _flags(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    if request.user.has_perm("flags.view_flag"):
        for flag in Flag.objects.filter(name__icontains=term).order_by("name")[:_MOST]:
            yield SearchResult(flag.name, "Feature", reverse("feature", args=[flag.name]), "toggle_on")


def _help(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    for name, title in pages.titles().items():
        if term in title.lower():
            yield SearchResult(title, "Help", reverse("help_page", args=[name]), "help")


def _people(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    if request.user.has_perm("migration_portal.view_person"):
        place = f"{reverse('support')}?{urlencode({'q': term})}"
        yield SearchResult(f"Find a person: {term}", "Support; the search is on record", place, "support_agent")
