"""The console's first page: what runs now, what was found, what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.approvals.models import Approval
from migration_portal.backups.models import Backup, Side
from migration_portal.catchup.models import FlowStatus
from migration_portal.console.charts import as_json
from migration_portal.cutover.models import Stray
from migration_portal.engine import ledger
from migration_portal.inventory.models import Inventory, Preflight
from migration_portal.refusal import Refusal
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.progress import progress_of
from migration_portal.runs.states import State
from migration_portal.runs.throughput import throughput_of
from migration_portal.schema import scripts
from migration_portal.schema.apply import DIRECTORY


@dataclass(frozen=True)
class Hint:
    """One thing to do next, and where."""

    text: str
    link: str
    urgent: bool = False


@dataclass(frozen=True)
class FirstStep:
    """One of the steps from an empty portal to the first tenant in the IAM."""

    text: str
    link: str
    done: bool


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What unfold asks for on the index page."""
    return context | {"title": "Dashboard"} | now(request)


def live(request: HttpRequest) -> TemplateResponse:
    """The dashboard's body, which asks for itself again and again."""
    return TemplateResponse(request, "portal/dashboard.html", now(request))


def now(request: HttpRequest) -> dict[str, Any]:
    """Everything on the dashboard, as it is now; `trouble` instead when the IAM database does not answer."""
    inventory = Inventory.objects.first()
    run = Run.objects.filter(dry_run=False).first() or Run.objects.first()
    facts: dict[str, Any] = {"run": run, "inventory": inventory, "trouble": ""}
    try:
        with databases.iam("dashboard") as iam:
            states = scripts.states(iam, scripts.read(DIRECTORY))
            installed = ledger.ready(iam)
        facts["applied"], facts["script_count"] = sum(state.applied for state in states), len(states)
        facts["quarantined"] = QuarantinedRow.objects.in_force().filter(state="open").count() if installed else 0
        if run is not None:
            facts["progress"] = progress_of(run)
            facts["throughput"] = throughput_of(run)
            facts["charts"] = as_json([facts["throughput"]])
            facts["flows"] = list(FlowStatus.objects.order_by("direction"))
            facts["moved"] = TenantHome.objects.filter(home=TenantHome.Home.IAM).count()
            facts["tenants"] = TenantHome.objects.count()
            facts["strays"] = Stray.objects.filter(run=run.key, state="open").count() if installed else 0
            facts["findings"] = run.differing if installed else 0
    except (Refusal, DatabaseError) as error:
        facts["trouble"] = databases.words(error)
    facts["hints"] = list(_hints(facts, request))
    facts["first_steps"] = [] if facts["trouble"] or facts.get("moved") else _first_steps(facts)
    return facts


def _first_steps(facts: dict[str, Any]) -> list[FirstStep]:
    """In the order of docs/runbook.md; shown until a tenant lives in the IAM."""
    completed = Run.objects.filter(state=State.COMPLETED)
    looked = Preflight.objects.exclude(finished_at=None).first()
    backed_up = Backup.objects.validated(Side.LEGACY).exists()
    rehearsed = Rehearsal.objects.filter(error="").exclude(finished_at=None).exists()
    fits = looked is not None and not any(each["severity"] == "error" for each in looked.content.get("findings", ()))
    return [
        FirstStep("Take an inventory of legacy", reverse("admin:inventory_inventory_changelist"), facts["inventory"] is not None),
        FirstStep("Apply the IAM's schema", reverse("admin:schema"), facts["applied"] == facts["script_count"]),
        FirstStep("Pre-flight finds no error", reverse("preflight"), fits),
        FirstStep("Dry run", reverse("admin:runs_run_changelist"), completed.filter(dry_run=True).exists()),
        FirstStep("Back legacy up, and verify the backup up to level 3", reverse("backups"), backed_up),
        FirstStep("Rehearse the whole on that backup", reverse("rehearsals"), rehearsed),
        FirstStep("Run with capture", reverse("admin:runs_run_changelist"), completed.filter(capture=True).exists()),
        FirstStep("Cut the first tenants over", reverse("cutover"), False),
    ]  # fmt: skip


def _hints(facts: dict[str, Any], request: HttpRequest) -> Iterator[Hint]:
    run = facts["run"]
    if facts["trouble"]:
        yield Hint(facts["trouble"], reverse("preflight"), urgent=True)
        return
    if count := Approval.objects.waiting().exclude(requested_by=request.user.get_username()).count():
        yield Hint(f"Asked of a second person: {count:,}. Agree, or reject.", reverse("approvals"), urgent=True)
    if facts["inventory"] is None:
        yield Hint("Take an inventory of the legacy system.", reverse("admin:inventory_inventory_changelist"))
    if facts["applied"] < facts["script_count"]:
        yield Hint("Apply the IAM schema scripts.", reverse("admin:schema"))
    if run is None:
        yield Hint("Run pre-flight, then start a dry run.", reverse("preflight"))
        return
    place = reverse("admin:runs_run_change", args=[run.pk])
    if run.state == State.FAILED:
        yield Hint(f"{run} has failed chunks. Read why, then retry.", place, urgent=True)
    elif run.state == State.PAUSED:
        yield Hint(f"{run} is paused. Resume it when you are ready.", place)
    elif run.state == State.CANCELLED:
        yield Hint(f"{run} was cancelled. Undo it to remove what it copied.", place, urgent=True)
    elif run.state == State.COMPLETED and run.dry_run:
        yield Hint("The dry run is done. Read its report, then start the run.", place)
    elif run.state == State.COMPLETED and run.capture and facts.get("moved", 0) < facts.get("tenants", 0):
        yield Hint(
            f"{facts['moved']:,} of {facts['tenants']:,} tenants are cut over. Choose the next wave.",
            reverse("cutover"),
        )
        if missing := Backup.objects.missing():
            yield Hint(missing, reverse("backups"))
    for flow in facts.get("flows", ()):
        if flow.trouble:
            yield Hint(flow.trouble, reverse("cutover"), urgent=True)
    if facts.get("strays"):
        link = reverse("admin:cutover_stray_changelist")
        yield Hint(f"Undecided stray writes: {facts['strays']:,}.", link, urgent=True)
    if facts.get("findings"):
        yield Hint(f"Rows that differ between the two systems: {facts['findings']:,}.", place, urgent=True)
    if facts.get("quarantined"):
        link = reverse("admin:runs_quarantinedrow_changelist") + "?state__exact=open"
        yield Hint(f"Rows in quarantine: {facts['quarantined']:,}. Fix, retry or discard them.", link)
