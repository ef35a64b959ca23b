"""Stray writes: rows written on the side that does not own their tenant, decided one by one or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import AllValuesCheckboxFilter, ChoicesCheckboxFilter

from migration_portal import console, databases
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.console.bulk import Decision, asked, told
from migration_portal.cutover import resolve
from migration_portal.cutover.models import Stray
from migration_portal.engine import ledger
from migration_portal.refusal import Refusal, require_reason

_VERBS = {"accept": resolve.accept, "restore": resolve.restore}
_WRITTEN_IN = {"forward": "legacy", "reverse": "the IAM"}
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
    show_full_result_count = False
    actions = ("accept_many", "restore_many")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Stray]:
        with databases.iam("strays") as iam:
            return Stray.objects.all() if ledger.ready(iam) else Stray.objects.none()

    @admin.display(description="State", ordering="state")
    def state_label(self, stray: Stray) -> str:
        return console.badge(stray.state)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/decide/", wrap(self.decide), name="cutover_stray_decide"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Stray writes"} | (extra_context or {}))

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

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("cutover.decide_stray")

    @admin.action(description="Accept…", permissions=["decide"])
    def accept_many(self, request: HttpRequest, rows: QuerySet[Stray]) -> HttpResponse:
        explain = "Each row goes to the owner as it stands on the other side."
        return _asked(request, rows, "accept", "Accept stray writes", explain)

    @admin.action(description="Restore the owner's rows…", permissions=["decide"])
    def restore_many(self, request: HttpRequest, rows: QuerySet[Stray]) -> HttpResponse:
        explain = "The owner's row, or its absence, is put back in the place of each."
        return _asked(request, rows, "restore", "Restore the owner's rows", explain)


def _asked(request: HttpRequest, rows: QuerySet[Stray], verb: str, heading: str, explain: str) -> HttpResponse:
    rows = rows.filter(state=Stray.State.OPEN)

    def decide(chosen: Sequence[Stray], reason: str) -> str:
        require_reason(reason, to="Deciding stray writes")
        done, refused = resolve.decide_each(_VERBS[verb], chosen, by=console.by(request), reason=reason)
        return told(done, refused, verb="decided")

    def counts() -> dict[str, int]:
        about = rows.aggregate(rows=Count("id"), tenants=Count("tenant", distinct=True))
        by_what = rows.order_by().values_list("what", "direction").annotate(n=Count("id")).order_by("-n")
        kinds = {f"… {what} in {_WRITTEN_IN.get(direction, direction)}": count for what, direction, count in by_what}
        return {"Open stray writes": about["rows"], **kinds, "Tenants": about["tenants"]}

    decision = Decision(heading, explain, verb.capitalize(), "cutover.decide_stray", decide, most=_MOST)
    return asked(request, rows, decision, counts)
