"""The console's screens of the legacy endpoints: usage and latency, the request log, and contract mismatches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from legacy_compat import usage, versions
from legacy_compat.models import LegacyRequest, Mismatch, Shadowed

_IGNORED_DAYS = (1, 7, 30)


class RecordAdmin(ModelAdmin):
    """What happened is not edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LegacyRequest)
class LegacyRequestAdmin(RecordAdmin):
    list_display = ("when", "method", "endpoint", "status", "took", "home", "version", "client", "whose", "who")
    list_display_links = None
    list_filter = ("home", "version", "status", "endpoint")
    search_fields = ("=request_id", "=user", "=tenant", "client")
    search_help_text = "A whole request id, user id or tenant id, or a part of a client's name"
    list_per_page = 50
    show_full_result_count = False

    @admin.display(description="At", ordering="at")
    def when(self, made: LegacyRequest) -> str:
        return f"{made.at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="Tenant", ordering="tenant")
    def whose(self, made: LegacyRequest) -> str:
        return _narrow(made, made.tenant, "tenant")

    @admin.display(description="User", ordering="user")
    def who(self, made: LegacyRequest) -> str:
        return _narrow(made, made.user, "user")

    @admin.display(description="ms", ordering="milliseconds")
    def took(self, made: LegacyRequest) -> str:
        return f"{made.milliseconds:.1f}"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("board/", wrap(board), name="legacy_board"),
            path("board/live/", wrap(live), name="legacy_board_live"),
            *super().get_urls(),
        ]


@admin.register(Mismatch)
class MismatchAdmin(RecordAdmin):
    list_display = ("endpoint", "field", "count", "legacy_said", "iam_said", "last", "triage")
    list_filter = ("endpoint", "state")
    search_fields = ("field", "=tenant")
    list_before_template = "legacy_compat/mismatches_before.html"

    @admin.display(description="Legacy said")
    def legacy_said(self, found: Mismatch) -> str:
        return found.legacy[:60]

    @admin.display(description="The IAM said")
    def iam_said(self, found: Mismatch) -> str:
        return found.iam[:60]

    @admin.display(description="Last", ordering="last_at")
    def last(self, found: Mismatch) -> str:
        return f"{found.last_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="Triage")
    def triage(self, found: Mismatch) -> str:
        return "open" if found.open else f"ignored until {found.ignored_until:%Y-%m-%d}"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [path("<int:pk>/ignore/", wrap(ignore), name="mismatch_ignore"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        since = timezone.now().date() - timedelta(days=7)
        context = {"title": "Contract mismatches", "shadowed": Shadowed.objects.filter(day__gte=since)[:50]}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        _need(request, "legacy_compat.view_mismatch")
        found = get_object_or_404(Mismatch, pk=object_id)
        may = request.user.has_perm("legacy_compat.ignore_mismatch")
        return _page(request, "mismatch", str(found), found=found, may=may, days=_IGNORED_DAYS)


def board(request: HttpRequest) -> HttpResponse:
    """Latency, usage by client and version, and when the old version ends."""
    _need(request, "legacy_compat.view_legacyrequest")
    return _page(request, "board", "Legacy endpoints", **_at_a_glance())


def live(request: HttpRequest) -> HttpResponse:
    """What changes by itself on that page."""
    _need(request, "legacy_compat.view_legacyrequest")
    return _page(request, "live", "", **_at_a_glance())


def ignore(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave a mismatch out of the open ones for some days, on the record; or take it in again."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    _need(request, "legacy_compat.ignore_mismatch")
    reason, days = request.POST.get("reason", "").strip(), request.POST.get("days", "")
    back = redirect(reverse("admin:legacy_compat_mismatch_change", args=[pk]))
    if not reason or days not in ("0", *map(str, _IGNORED_DAYS)):
        messages.error(request, "Ignoring a mismatch needs a reason and an end. Nothing has changed.")
        return back
    until = timezone.now() + timedelta(days=int(days)) if days != "0" else None
    state = Mismatch.State.IGNORED if until else Mismatch.State.OPEN
    Mismatch.objects.filter(pk=pk).update(
        state=state, ignored_until=until, decided_by=request.user.get_username(), reason=reason
    )
    messages.success(request, f"Ignored until {until:%Y-%m-%d %H:%M}." if until else "Open again.")
    return back


def _at_a_glance() -> dict[str, Any]:
    lines = [
        (title, usage.latency(home))
        for title, home in (("Answered by the IAM", "iam"), ("Passed on to legacy", "legacy"))
    ]
    return {
        "lines": [(title, found) for title, found in lines if found], "clients": usage.clients(), "minutes": usage.MINUTES,
        "old": versions.OLD, "new": versions.NEW, "sunset": settings.LEGACY_SUNSET,
        "open": sum(found.open for found in Mismatch.objects.all()[:500]),
    }  # fmt: skip


def _narrow(made: LegacyRequest, id: str, name: str) -> str:
    """The beginning of an id, as a link to everything it did."""
    return format_html('<a class="p-link" href="?q={}" title="{} {}">{}</a>', id, name, id, id[:8]) if id else ""


def _need(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _page(request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
    context |= admin.site.each_context(request) | {"title": title}
    return TemplateResponse(request, f"legacy_compat/{name}.html", context)
