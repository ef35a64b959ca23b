"""Stray writes: rows written on the side that does not own their tenant, decided one by one or all that the list shows."""

from __future__ import annotations

from typing import Any

import psycopg
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import AllValuesCheckboxFilter, ChoicesCheckboxFilter

from migration_portal import console, databases
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.cutover import resolve
from migration_portal.cutover.models import Stray
from migration_portal.engine import ledger
from migration_portal.refusal import Refusal, require_reason

_VERBS = {"accept": resolve.accept, "restore": resolve.restore}
_MOST = 1000


@admin.register(Stray)
class StrayAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "tenant", "what", "direction", "state_label", "seen_at")
    list_filter = (
        ("state", ChoicesCheckboxFilter), ("table_name", AllValuesCheckboxFilter), ("direction", AllValuesCheckboxFilter),
    )  # fmt: skip
    search_fields = ("tenant",)
    search_help_text = "Tenant"
    list_before_template = "portal/cutover/strays_before.html"
    list_filter_submit = True
    list_disable_select_all = True
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Stray]:
        with databases.iam("strays") as iam:
            return Stray.objects.all() if ledger.ready(iam) else Stray.objects.none()

    @admin.display(description="State", ordering="state")
    def state_label(self, stray: Stray) -> str:
        return console.badge(stray.state)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("decide/", wrap(self.decide_all), name="cutover_stray_decide_all"),
            path("<int:pk>/decide/", wrap(self.decide), name="cutover_stray_decide"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "title": "Stray writes", "may": request.user.has_perm("cutover.decide_stray"),
            "query": request.GET.urlencode(), "open_count": self.filtered(request, state=Stray.State.OPEN).count(),
        }  # fmt: skip
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        console.need(request, "cutover.view_stray")
        stray = self.one(request, object_id)
        context: dict[str, Any] = {"stray": stray, "fields": [], "trouble": ""}
        context["may"] = request.user.has_perm("cutover.decide_stray") and stray.state == Stray.State.OPEN
        try:
            context["fields"] = resolve.on_both_sides(stray)
        except Refusal as refusal:
            context["trouble"] = str(refusal)
        return console.page(request, "portal/cutover/stray.html", str(stray), **context)

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Accept the write, or restore the owner's row."""
        stray = get_object_or_404(Stray, pk=pk)

        def do() -> None:
            verb = _VERBS.get(request.POST.get("verb", ""))
            if verb is None:
                raise Refusal(
                    "Neither accepted nor restored.", subject=str(stray), todo="Reload the page, then choose."
                )
            verb(stray, by=console.by(request), reason=console.reason(request))

        back = reverse("admin:cutover_stray_change", args=[pk])
        return console.act(request, "cutover.decide_stray", do, back=back, done="Decided: both sides agree again.")

    def decide_all(self, request: HttpRequest) -> HttpResponse:
        """The same for every open one that the list shows; one that cannot be decided so stays open and keeps no other."""

        def do() -> str:
            verb, reason = _VERBS.get(request.POST.get("verb", "")), console.reason(request)
            rows = list(self.filtered(request, state=Stray.State.OPEN)[: _MOST + 1])
            if verb is None or not rows:
                raise Refusal(
                    "There is nothing to decide.", subject="stray writes", todo="Reload the page, then choose."
                )
            if len(rows) > _MOST:
                raise Refusal(
                    "They are too many at once.", subject="stray writes", todo=f"Filter to {_MOST:,} at most."
                )
            require_reason(reason, to="Deciding stray writes")
            left: list[str] = []
            for stray in rows:
                try:
                    verb(stray, by=console.by(request), reason=reason)
                except (Refusal, psycopg.Error) as error:
                    left.append(f"{stray}: {str(error).splitlines()[0]}")
            stayed = f" Open still: {len(left):,}. {left[0]}" if left else ""
            return f"Decided: {len(rows) - len(left):,}.{stayed}"

        back = f"{reverse('admin:cutover_stray_changelist')}?{request.GET.urlencode()}"
        return console.act(request, "cutover.decide_stray", do, back=back, done="")
