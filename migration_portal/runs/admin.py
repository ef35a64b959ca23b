"""The run console: a list, a live page with the buttons that make sense now, and the report."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from migration_portal import console
from migration_portal.approvals import acting
from migration_portal.audit.models import Event
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.console.charts import as_json
from migration_portal.refusal import Refusal
from migration_portal.runs import reload, start, throttle
from migration_portal.runs.approving import UNDO
from migration_portal.runs.chunk_map import chunk_map
from migration_portal.runs.compare import compare
from migration_portal.runs.models import Chunk, Finding, QuarantinedRow, Run
from migration_portal.runs.progress import progress_of
from migration_portal.runs.quarantine_admin import QuarantinedRowAdmin
from migration_portal.runs.report import report
from migration_portal.runs.states import ACTIVE, State
from migration_portal.runs.throughput import throughput_of
from migration_portal.runs.verbs import VERBS, Verb, available

admin.site.register(QuarantinedRow, QuarantinedRowAdmin)

_CAPTURE_TEXT = (
    "Capture changes, so that tenants can be cut over later without a pause (the legacy role must own its tables)"
)
_MOST_FINDINGS = 200
_MOST_COMPARED = 50


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "plan_name", "state_label", "started_by", "started_at", "finished_at")
    list_filter = ("state", "dry_run")
    search_fields = ("plan_name", "started_by")
    list_before_template = "portal/runs/list_before.html"
    list_disable_select_all = True

    @admin.display(description="State", ordering="state")
    def state_label(self, run: Run) -> str:
        return console.badge(run.state)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("start/", wrap(self.start), name="runs_run_start"),
            path("compare/", wrap(self.compare), name="runs_run_compare"),
            path("<int:pk>/live/", wrap(self.live), name="runs_run_live"),
            path("<int:pk>/throttle/", wrap(self.throttle), name="runs_run_throttle"),
            path("<int:pk>/reload/", wrap(self.reload), name="runs_run_reload"),
            path("<int:pk>/report.json", wrap(self.report_json), name="runs_run_report_json"),
            path("<int:pk>/report/", wrap(self.report_page), name="runs_run_report"),
            path("<int:pk>/do/<slug:verb>/", wrap(self.do), name="runs_run_do"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = request.user.has_perm("runs.start_run")
        context = {"title": "Runs", "may_start": may, "capture_text": _CAPTURE_TEXT}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        console.need(request, "runs.view_run")
        run = self.one(request, object_id)
        verbs = [verb for verb in VERBS.values() if _may(request, verb)]
        return console.page(
            request, "portal/runs/page.html", str(run), verbs=verbs, about=f"run={run.pk}", **self._now(request, run)
        )

    def live(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes."""
        console.need(request, "runs.view_run")
        run = get_object_or_404(Run, pk=pk)
        return TemplateResponse(request, "portal/runs/live.html", self._now(request, run))

    def _now(self, request: HttpRequest, run: Run) -> dict[str, Any]:
        now: dict[str, Any] = {"run": run, "trouble": ""}
        now["events"] = list(Event.objects.filter(run=run.pk)[:30])
        now["buttons"] = [verb for verb in available(run) if _may(request, verb)]
        now["may_throttle"] = run.state in ACTIVE and request.user.has_perm("runs.pause_run")
        now["may_reload"] = run.capture and run.state == State.COMPLETED and request.user.has_perm("runs.retry_run")
        now["ended"] = run.state in (State.COMPLETED, State.CANCELLED, State.UNDONE)
        try:
            now["progress"] = progress_of(run)
            now["throughput"] = throughput_of(run)
            now["charts"] = as_json([now["throughput"]])
            chunks = Chunk.objects.filter(run=run.key, kind="copy")
            now["chunks"] = chunk_map(chunks.values_list("table_name", "ordinal", "state", "rows_quarantined"))
            now["failed"] = list(Chunk.objects.filter(run=run.key).exclude(error="").exclude(state="done")[:10])
            now["result"] = report(run)
        except Refusal as refusal:
            now["trouble"] = str(refusal)
        return now

    def start(self, request: HttpRequest) -> HttpResponse:
        dry = request.POST.get("dry_run") == "yes"
        capture = request.POST.get("capture") == "yes"
        started: list[Run] = []
        answer = console.act(
            request,
            "runs.start_run",
            lambda: started.append(start.start(by=console.by(request), dry_run=dry, capture=capture)),
            back=reverse("admin:runs_run_changelist"),
            done="The dry run has started." if dry else "The run has started.",
        )
        if started:
            answer["Location"] = reverse("admin:runs_run_change", args=[started[0].pk])
        return answer

    def do(self, request: HttpRequest, pk: int, verb: str) -> HttpResponse:
        """One of the verbs on a run. The verb itself checks the state again."""
        run = get_object_or_404(Run, pk=pk)
        known = VERBS.get(verb)
        if known is None:
            return HttpResponse(status=404)

        def confirm() -> None:
            if known.typed:
                console.require_typed(request, str(run))

        def ask() -> None:
            confirm()
            known.do(run, by=console.by(request), reason=console.reason(request))

        back = reverse("admin:runs_run_change", args=[pk])
        if verb == UNDO.name:
            return acting.act(request, UNDO, {"run": pk}, subject=str(run), back=back, confirm=confirm)
        return console.act(request, known.permission, ask, back=back, done=known.done)

    def throttle(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Go slower, or as fast as it can again."""
        run = get_object_or_404(Run, pk=pk)

        def do() -> None:
            typed = (request.POST.get(name, "") for name in ("workers", "chunk_seconds", "quiet_from", "quiet_until"))
            throttle.throttle(run, throttle.parse(*typed), by=console.by(request), reason=console.reason(request))

        back = reverse("admin:runs_run_change", args=[pk])
        return console.act(request, "runs.pause_run", do, back=back, done="In force from each worker's next chunk on.")

    def reload(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One of its tables anew."""
        run = get_object_or_404(Run, pk=pk)

        def do() -> str:
            table, reason = request.POST.get("table", ""), console.reason(request)
            filled = reload.reload(run, table, by=console.by(request), reason=reason)
            return f"Catch-up brings {', '.join(filled)} anew; the cut-over board shows what waits."

        back = reverse("admin:runs_run_change", args=[pk])
        return console.act(request, "runs.retry_run", do, back=back, done="")

    def report_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The verification report: reconciliation, checks, findings, and what to do about each kind."""
        console.need(request, "runs.view_run")
        run = get_object_or_404(Run, pk=pk)
        context: dict[str, Any] = {"run": run, "trouble": ""}
        try:
            context["result"] = report(run)
            findings = Finding.objects.filter(run=run.key, verification=run.verification)
            context["findings"] = list(findings[:_MOST_FINDINGS])
            context["findings_total"] = findings.count()
        except Refusal as refusal:
            context["trouble"] = str(refusal)
        return console.page(request, "portal/runs/report.html", f"Report of {str(run).lower()}", **context)

    def compare(self, request: HttpRequest) -> HttpResponse:
        """Two runs side by side; the two latest, where nobody says which."""
        console.need(request, "runs.view_run")
        runs = list(Run.objects.all()[:_MOST_COMPARED])
        if not runs:
            return redirect("admin:runs_run_changelist")
        after = self._chosen(request, "after", runs[0])
        before = self._chosen(request, "before", next((run for run in runs if run.pk < after.pk), after))
        context: dict[str, Any] = {"runs": runs, "before": before, "after": after, "tables": {}, "trouble": ""}
        try:
            context["tables"] = compare(report(before), report(after))
        except Refusal as refusal:
            context["trouble"] = str(refusal)
        return console.page(request, "portal/runs/compare.html", f"{before} and {after}", **context)

    @staticmethod
    def _chosen(request: HttpRequest, name: str, otherwise: Run) -> Run:
        pk = console.whole(request.GET.get(name, ""), 1, 2**31)
        return get_object_or_404(Run, pk=pk) if pk else otherwise

    def report_json(self, request: HttpRequest, pk: int) -> HttpResponse:
        console.need(request, "runs.view_run")
        run = get_object_or_404(Run, pk=pk)
        answer = HttpResponse(json.dumps(report(run).as_dict(), indent=2) + "\n", content_type="application/json")
        answer["Content-Disposition"] = f'attachment; filename="run-{run.pk}.json"'
        return answer


def _may(request: HttpRequest, verb: Verb) -> bool:
    return acting.may(request, UNDO) if verb.name == UNDO.name else request.user.has_perm(verb.permission)
