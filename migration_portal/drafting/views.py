"""The page on which a plan is drafted and edited: its text, and beside it what it would do."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from migration_portal import console
from migration_portal.audit import chain
from migration_portal.drafting.checking import check
from migration_portal.drafting.draft import draft_now
from migration_portal.drafting.models import PlanDraft
from migration_portal.plan.loader import parse
from migration_portal.refusal import Refusal
from migration_portal.runs.start import start

_SEE, _WRITE = "drafting.view_plandraft", "drafting.write_plandraft"
_NAME = "drafted"
_MOST = 50
"""Versions that are offered."""


def board(request: HttpRequest) -> HttpResponse:
    """A version of the text, else the latest, and what it would do."""
    may = request.user.has_perm(_WRITE)
    console.need(request, _WRITE if may else _SEE)
    chosen = console.whole(request.GET.get("version", ""), 1, 2**31)
    shown = PlanDraft.objects.filter(pk=chosen).first() if chosen else PlanDraft.objects.first()
    return _page(
        request, shown.text if shown else "", shown, base=latest.pk if (latest := PlanDraft.objects.first()) else 0
    )


def _page(
    request: HttpRequest, text: str, shown: PlanDraft | None, *, base: int, trouble: str = "", status: int = 200
) -> HttpResponse:
    """`base` is the version that the next one is to replace."""
    may = request.user.has_perm(_WRITE)
    context = {
        "draft": shown, "text": text, "base": base, "trouble": trouble, "versions": list(PlanDraft.objects.all()[:_MOST]),
        "checked": check(text) if text and may else None, "may_write": may, "may_start": request.user.has_perm("runs.start_run"),
    }  # fmt: skip
    answer = console.page(request, "portal/drafting/board.html", "Draft a plan", **context)
    answer.status_code = status
    return answer


def draft(request: HttpRequest) -> HttpResponse:
    """Draft it anew from what both databases show; earlier versions stay."""

    def do() -> str:
        schema = request.POST.get("source_schema", "").strip() or "public"
        drafted = draft_now(_NAME, source_schema=schema)
        _save(drafted.text, by=console.by(request), verb="draft_plan")
        unsure = sum(len(table.unsure) for table in drafted.draft.tables)
        return f"Drafted: {len(drafted.draft.tables)} tables. {unsure} lines say LOOK: decide those."

    return console.act(request, _WRITE, do, back=reverse("drafting"), done="")


def checked(request: HttpRequest) -> HttpResponse:
    """What the text in the editor would do; nothing is saved."""
    console.need(request, _WRITE)
    if request.method != "POST":
        return HttpResponse(status=405, headers={"Allow": "POST"})
    context = {"checked": check(request.POST.get("text", ""))}
    return render(request, "portal/drafting/checked.html", context)


def save(request: HttpRequest) -> HttpResponse:
    """Keep the text as a new version, also one that does not fit yet. What cannot be saved stays in the editor."""
    console.need(request, _WRITE)
    if request.method != "POST":  # as after signing in again
        return redirect("drafting")
    text = request.POST.get("text", "").replace("\r\n", "\n")
    latest = PlanDraft.objects.first()
    base = console.whole(request.POST.get("base", ""), 0, 2**31)
    if latest is None or base != latest.pk:
        trouble = "Somebody has saved another version meanwhile. What you typed is below; Save replaces theirs."
        return _page(request, text, latest, base=latest.pk if latest else 0, trouble=trouble, status=409)
    if text != latest.text:
        try:
            _save(text, by=console.by(request), verb="save_plan_draft")
        except Refusal as refusal:
            return _page(request, text, latest, base=latest.pk, trouble=f"Not saved: {refusal}", status=422)
        messages.success(request, "Saved as a new version.")
    else:
        messages.success(request, "Nothing has changed since the version before.")
    return redirect("drafting")


def dry_run(request: HttpRequest) -> HttpResponse:
    """Start a dry run by the version that was saved last."""

    def do() -> str:
        console.need(request, _WRITE)
        latest = PlanDraft.objects.first()
        if latest is None:
            raise Refusal("There is no draft yet.", todo="Draft one first.")
        run = start(by=console.by(request), dry_run=True, plan_text=latest.text)
        return f"{run} has started: see Runs."

    return console.act(request, "runs.start_run", do, back=reverse("drafting"), done="")


def download(request: HttpRequest) -> HttpResponse:
    """The latest version as a file."""
    console.need(request, _WRITE if request.user.has_perm(_WRITE) else _SEE)
    latest = PlanDraft.objects.first()
    if latest is None:
        return HttpResponse(status=404)
    answer = HttpResponse(latest.text, content_type="application/toml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{_NAME}.toml"'
    return answer


def _save(text: str, *, by: str, verb: str) -> None:
    """Raises PlanError."""
    plan = parse(text, name="plan")
    draft = PlanDraft.objects.create(name=plan.name[:100], text=text, saved_by=by)
    chain.record(verb, of=draft, by=by, data={"plan": plan.name, "plan_checksum": plan.checksum})
