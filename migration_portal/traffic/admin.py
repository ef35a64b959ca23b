"""The request log of the legacy endpoints, and contract mismatches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from legacy_compat.models import LegacyRequest, Mismatch, Shadowed
from migration_portal import console
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.traffic.ignore import DAYS


@admin.register(LegacyRequest)
class LegacyRequestAdmin(ReadOnlyAdmin):
    list_display = ("when", "method", "endpoint", "status", "took", "home", "version", "client", "whose", "who")
    list_display_links = None
    list_filter = ("home", "version", "status", "endpoint")
    search_fields = ("=request_id", "=user", "=tenant", "client")
    search_help_text = "A whole request id, user id or tenant id, or a part of a client's name"
    show_full_result_count = False

    @admin.display(description="At", ordering="at")
    def when(self, made: LegacyRequest) -> str:
        return f"{made.at:%Y-%m-%d %H:%M:%S} UTC"

    @admin.display(description="Tenant", ordering="tenant")
    def whose(self, made: LegacyRequest) -> str:
        return _narrow(made.tenant, "tenant")

    @admin.display(description="User", ordering="user")
    def who(self, made: LegacyRequest) -> str:
        return _narrow(made.user, "user")

    @admin.display(description="ms", ordering="milliseconds")
    def took(self, made: LegacyRequest) -> str:
        return f"{made.milliseconds:.1f}"


@admin.register(Mismatch)
class MismatchAdmin(ReadOnlyAdmin):
    list_display = ("endpoint", "field", "count", "legacy_said", "iam_said", "last", "triage")
    list_filter = ("endpoint", "state")
    search_fields = ("field", "=tenant")
    list_before_template = "portal/traffic/mismatches_before.html"

    @admin.display(description="Legacy said")
    def legacy_said(self, mismatch: Mismatch) -> str:
        return mismatch.legacy[:60]

    @admin.display(description="The IAM said")
    def iam_said(self, mismatch: Mismatch) -> str:
        return mismatch.iam[:60]

    @admin.display(description="Last", ordering="last_at")
    def last(self, mismatch: Mismatch) -> str:
        return f"{mismatch.last_at:%Y-%m-%d %H:%M:%S} UTC"

    @admin.display(description="Triage")
    def triage(self, mismatch: Mismatch) -> str:
        return "open" if mismatch.open else f"ignored until {mismatch.ignored_until:%Y-%m-%d}"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        since = timezone.now().date() - timedelta(days=7)
        context = {"title": "Contract mismatches", "shadowed": Shadowed.objects.filter(day__gte=since)[:50]}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        console.need(request, "legacy_compat.view_mismatch")
        mismatch = self.one(request, object_id)
        may = request.user.has_perm("legacy_compat.ignore_mismatch")
        return console.page(
            request, "portal/traffic/mismatch.html", str(mismatch), mismatch=mismatch, may=may, days=DAYS
        )


def _narrow(id: str, name: str) -> str:
    """The beginning of an id, as a link to everything it did."""
    return format_html('<a class="p-link" href="?q={}" title="{} {}">{}</a>', id, name, id, id[:8]) if id else ""
