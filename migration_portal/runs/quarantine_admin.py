"""Quarantine: rows kept back with a reason; retry them once fixed, discard them with a reason, export them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import AllValuesCheckboxFilter, ChoicesCheckboxFilter

from migration_portal import console, databases
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.engine import ledger
from migration_portal.refusal import Refusal
from migration_portal.runs import retry
from migration_portal.runs.models import QuarantinedRow, Run

_MOST = 5000


class _Echo:
    def write(self, value: str) -> str:
        return value


class QuarantinedRowAdmin(ReadOnlyAdmin):
    list_display = ("key_text", "table_name", "reason_text", "tenant", "state_label", "created_at")
    list_filter = (
        ("state", ChoicesCheckboxFilter),
        ("table_name", AllValuesCheckboxFilter),
        ("reason", AllValuesCheckboxFilter),
    )
    search_fields = ("tenant", "detail")
    search_help_text = "Legacy key, tenant, or words of the detail"
    list_before_template = "portal/runs/quarantine_before.html"
    list_filter_submit = True
    show_full_result_count = False

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
            path("retry/", wrap(self.retry), name="runs_quarantinedrow_retry"),
            path("<int:pk>/retry/", wrap(self.retry), name="runs_quarantinedrow_retry_one"),
            path("<int:pk>/discard/", wrap(self.discard), name="runs_quarantinedrow_discard"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "title": "Quarantine",
            "may_retry": request.user.has_perm("runs.retry_quarantinedrow"),
            "may_export": request.user.has_perm("runs.export_quarantinedrow"),
            "query": request.GET.urlencode(),
            "open_count": self.get_queryset(request).filter(state="open").count(),
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

    def retry(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Retry one row, or all open rows of the filtered list."""
        back = reverse("admin:runs_quarantinedrow_changelist")

        def ask() -> str:
            rows = [get_object_or_404(QuarantinedRow, pk=pk)] if pk else self.filtered(request, state="open")
            if len(rows) > _MOST:
                raise Refusal(f"{len(rows):,} rows are too many at once.", todo=f"Filter to at most {_MOST:,}.")
            copied, kept = retry.retry_rows(rows, by=console.by(request))
            return f"Rows copied: {copied:,}; still in quarantine: {kept:,}."

        if pk:
            back = reverse("admin:runs_quarantinedrow_change", args=[pk])
        return console.act(request, "runs.retry_quarantinedrow", ask, back=back, done="")

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
        writer = csv.writer(_Echo())
        rows = self.filtered(request)  # now: a wrong filter is an answer, and no download that breaks off
        header = ["table", "legacy_key", "tenant", "reason", "detail", "state", "created_at", "row"]

        def lines() -> Iterable[str]:
            yield writer.writerow(header)
            for row in rows.iterator(chunk_size=1000):
                values = [
                    row.table_name, row.key_text, row.tenant or "", row.reason, row.detail, row.state,
                    row.created_at.isoformat(), json.dumps(_masked(row.data), ensure_ascii=False),
                ]  # fmt: skip
                yield writer.writerow([_inert(str(value)) for value in values])

        answer = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="quarantine.csv"'
        return answer


_SENSITIVE = re.compile("key|token|secret|password|hash", re.IGNORECASE)


def _masked(data: Any) -> Any:
    """The row, of whose keys and tokens only the beginning leaves the console: a licence key is the licence."""
    if not isinstance(data, dict):
        return data
    return {name: f"{str(value)[:4]}…" if value and _SENSITIVE.search(name) else value for name, value in data.items()}


def _inert(value: str) -> str:
    """A cell that no spreadsheet takes for a formula: legacy text is not ours to trust."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
