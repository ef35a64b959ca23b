"""Quarantine: rows kept back with a reason; retry them once fixed, discard them with a reason, export them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import AllValuesCheckboxFilter, ChoicesCheckboxFilter, DropdownFilter

from migration_portal import console, databases
from migration_portal.audit import chain
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.console.bulk import Decision, asked, told
from migration_portal.console.sheets import csv_line
from migration_portal.engine import ledger
from migration_portal.refusal import each
from migration_portal.runs import retry
from migration_portal.runs.models import QuarantinedRow, Run

_MOST_RETRIED, _MOST_DISCARDED = 1_000, 20_000
_MOST_RUNS = 30


class RunFilter(DropdownFilter):
    """Whose rows: dry runs and runs that are over kept the same ones back, and nobody decides about those."""

    title = "run"
    parameter_name = "of"
    all_option = ("", "The run in force")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", "All, dry runs too"), *((str(run.pk), str(run)) for run in Run.objects.all()[:_MOST_RUNS])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[QuarantinedRow]) -> QuerySet[QuarantinedRow]:
        value = self.value() or ""
        if value == "all":
            return queryset
        if not value.isdecimal():
            return queryset.filter(pk__in=QuarantinedRow.objects.in_force())
        return queryset.filter(run__in=list(Run.objects.filter(pk=int(value)).values_list("key", flat=True)))


class QuarantinedRowAdmin(ReadOnlyAdmin):
    list_display = ("key_text", "table_name", "reason_text", "tenant", "of_run", "state_label", "created_at")
    list_filter = (
        RunFilter,
        ("state", ChoicesCheckboxFilter),
        ("table_name", AllValuesCheckboxFilter),
        ("reason", AllValuesCheckboxFilter),
    )
    search_fields = ("tenant", "detail")
    search_help_text = "Legacy key, tenant, or words of the detail"
    list_before_template = "portal/runs/quarantine_before.html"
    list_filter_submit = True
    show_full_result_count = False
    actions = ("retry_many", "discard_many")

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuarantinedRow]:
        rows = QuarantinedRow.objects.all()
        with databases.iam("quarantine") as iam:
            return rows if ledger.ready(iam) else rows.none()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[QuarantinedRow], search_term: str
    ) -> tuple[QuerySet[QuarantinedRow], bool]:
        rows, duplicates = super().get_search_results(request, queryset, search_term)
        if search_term:
            rows = rows | queryset.filter(source_key__contains=[search_term.strip()])
        return rows, duplicates

    @admin.display(description="Legacy key", ordering="source_key")
    def key_text(self, row: QuarantinedRow) -> str:
        return row.key_text

    @admin.display(description="Run")
    def of_run(self, row: QuarantinedRow) -> str:
        return row.run_name

    @admin.display(description="Reason", ordering="reason")
    def reason_text(self, row: QuarantinedRow) -> str:
        return row.reason.replace("_", " ")

    @admin.display(description="State", ordering="state")
    def state_label(self, row: QuarantinedRow) -> str:
        return console.badge(row.state)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("export/", wrap(self.export), name="runs_quarantinedrow_export"),
            path("<int:pk>/retry/", wrap(self.retry), name="runs_quarantinedrow_retry_one"),
            path("<int:pk>/discard/", wrap(self.discard), name="runs_quarantinedrow_discard"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "title": "Quarantine",
            "may_export": request.user.has_perm("runs.export_quarantinedrow"),
            "query": request.GET.urlencode(),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        console.need(request, "runs.view_quarantinedrow")
        row = self.one(request, object_id)
        run = Run.objects.filter(key=row.run).first()
        siblings = self.get_queryset(request).filter(
            run=row.run, source_table=row.source_table, source_key=row.source_key
        )
        context = {
            "row": row,
            "run": run,
            "siblings": siblings.exclude(pk=row.pk),
            "may_retry": request.user.has_perm("runs.retry_quarantinedrow") and row.state == "open",
            "may_discard": request.user.has_perm("runs.discard_quarantinedrow") and row.state == "open",
        }
        return console.page(request, "portal/runs/quarantined_row.html", str(row), **context)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs.retry_quarantinedrow")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs.discard_quarantinedrow")

    @admin.action(description="Retry…", permissions=["retry"])
    def retry_many(self, request: HttpRequest, rows: QuerySet[QuarantinedRow]) -> HttpResponse:
        def decide(chosen: Sequence[QuarantinedRow], reason: str) -> str:
            copied, refused = each(chosen, lambda row: retry.retry_row(row, by=console.by(request)))
            return told(copied, refused, verb="copied")

        decision = Decision(
            heading="Retry rows in quarantine", button="Retry", permission="runs.retry_quarantinedrow", decide=decide,
            explain="Each is read from the legacy system again, as it is now, and copied if it fits. One that does not stays here.",
            most=_MOST_RETRIED,
        )  # fmt: skip
        return _asked(request, rows.filter(state="open", pk__in=QuarantinedRow.objects.in_force()), decision)

    @admin.action(description="Discard…", permissions=["discard"])
    def discard_many(self, request: HttpRequest, rows: QuerySet[QuarantinedRow]) -> HttpResponse:
        def decide(chosen: Sequence[QuarantinedRow], reason: str) -> str:
            return f"Discarded: {retry.discard_rows(chosen, by=console.by(request), reason=reason):,}. They remain in legacy."

        decision = Decision(
            heading="Discard rows in quarantine", button="Discard", permission="runs.discard_quarantinedrow", decide=decide,
            explain="They remain in legacy, and no longer keep their tenants from being cut over. A user among them cannot "
            "sign in once their tenant lives in the IAM.",
            most=_MOST_DISCARDED,
        )  # fmt: skip
        return _asked(request, rows.filter(state="open"), decision)

    def retry(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = get_object_or_404(QuarantinedRow, pk=pk)

        def do() -> str:
            copied, kept = retry.retry_rows([row], by=console.by(request))
            return f"Rows copied: {copied:,}; still in quarantine: {kept:,}."

        back = reverse("admin:runs_quarantinedrow_change", args=[pk])
        return console.act(request, "runs.retry_quarantinedrow", do, back=back, done="")

    def discard(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = get_object_or_404(QuarantinedRow, pk=pk)
        return console.act(
            request,
            "runs.discard_quarantinedrow",
            lambda: retry.discard_rows([row], by=console.by(request), reason=console.reason(request)) and None,
            back=reverse("admin:runs_quarantinedrow_change", args=[pk]),
            done="Discarded, remains in legacy.",
        )

    def export(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """The filtered list as CSV."""
        console.need(request, "runs.export_quarantinedrow")
        rows = self.filtered(request)  # now: a wrong filter is an answer, and no download that breaks off
        chain.record(
            "export", object_type="quarantinedrow", data={"count": rows.count(), "key": request.GET.urlencode()}
        )
        header = ["table", "legacy_key", "tenant", "reason", "detail", "state", "created_at", "row"]

        def lines() -> Iterable[str]:
            yield csv_line(header)
            for row in rows.iterator(chunk_size=1000):
                values = [
                    row.table_name, row.key_text, row.tenant or "", row.reason, row.detail, row.state,
                    row.created_at.isoformat(), json.dumps(_masked(row.data), ensure_ascii=False),
                ]  # fmt: skip
                yield csv_line(values)

        answer = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="quarantine.csv"'
        return answer


def _asked(request: HttpRequest, rows: QuerySet[QuarantinedRow], decision: Decision) -> HttpResponse:
    def counts() -> dict[str, int]:
        by_reason = rows.order_by().values_list("reason").annotate(n=Count("id")).order_by("-n")
        about = rows.aggregate(rows=Count("id"), tenants=Count("tenant", distinct=True))
        reasons = {f"… because of {reason.replace('_', ' ')}": count for reason, count in by_reason}
        return {"Open rows": about["rows"], **reasons, "Tenants": about["tenants"]}

    return asked(request, rows, decision, counts)


_SENSITIVE = re.compile("key|token|secret|password|hash", re.IGNORECASE)


def _masked(data: Any) -> Any:
    """The row, of whose keys and tokens only the beginning leaves the console: a licence key is the licence."""
    if not isinstance(data, dict):
        return data
    return {name: f"{str(value)[:4]}…" if value and _SENSITIVE.search(name) else value for name, value in data.items()}
