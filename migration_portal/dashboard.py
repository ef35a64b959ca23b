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
from migration_portal.catchup.models import Stream
from migration_portal.cutover.models import Stray
from migration_portal.engine import ledger
from migration_portal.inventory.models import Inventory
from migration_portal.plan.errors import Refusal
from migration_portal.runs.models import Finding, QuarantinedRow, Run
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
    found: dict[str, Any] = {"run": run, "inventory": inventory, "trouble": ""}
    try:
        with databases.iam("dashboard") as iam:
            states = scripts.states(iam, scripts.read(DIRECTORY))
            installed = ledger.installed(iam)
        found["applied"], found["script_count"] = sum(state.applied for state in states), len(states)
        found["quarantined"] = QuarantinedRow.objects.filter(state="open").count() if installed else 0
        if run is not None:
            found["progress"] = progress_of(run)
            found["throughput"] = throughput_of(run)
            findings = Finding.objects.filter(run=run.key, verification=run.verification)
            found["streams"] = list(Stream.objects.order_by("direction"))
            found["moved"] = TenantHome.objects.filter(home=TenantHome.Home.IAM).count()
            found["tenants"] = TenantHome.objects.count()
            found["strays"] = Stray.objects.filter(run=run.key, state="open").count() if installed else 0
            found["findings"] = findings.values("table_name", "key").distinct().count() if installed else 0
    except (Refusal, DatabaseError) as error:
        found["trouble"] = str(error)
    found["hints"] = list(_hints(found, request))
    return found


def _hints(found: dict[str, Any], request: HttpRequest) -> Iterator[Hint]:
    run = found["run"]
    if found["trouble"]:
        yield Hint(found["trouble"], reverse("preflight"), urgent=True)
        return
    if found["inventory"] is None:
        yield Hint("Take an inventory of the legacy system.", reverse("admin:inventory_inventory_changelist"))
    if found["applied"] < found["script_count"]:
        yield Hint("Apply the IAM schema scripts.", reverse("admin:schema"))
    if run is None:
        yield Hint("Run pre-flight, then start a dry run.", reverse("preflight"))
        return
    place = reverse("admin:runs_run_change", args=[run.pk])
    if run.state == State.FAILED:
        yield Hint(f"{run} needs you: chunks failed. Read why, then retry.", place, urgent=True)
    elif run.state == State.PAUSED:
        yield Hint(f"{run} is paused. Resume it when you are ready.", place)
    elif run.state == State.CANCELLED:
        yield Hint(f"{run} was cancelled. Undo it to remove what it copied.", place, urgent=True)
    elif run.state == State.COMPLETED and run.dry_run:
        yield Hint("The dry run is done. Read its report, then start the run.", place)
    elif run.state == State.COMPLETED and run.capture and found.get("moved", 0) < found.get("tenants", 0):
        yield Hint(
            f"{found['moved']:,} of {found['tenants']:,} tenants are cut over. Choose the next wave.",
            reverse("cutover"),
        )
    for stream in found.get("streams", ()):
        if stream.error or not stream.alive:
            yield Hint(
                f"Catch-up {stream} stands still: {stream.error or 'no sign of life'}", reverse("cutover"), urgent=True
            )
    if found.get("strays"):
        link = reverse("admin:cutover_stray_changelist")
        yield Hint(f"{found['strays']:,} stray writes wait for a decision.", link, urgent=True)
    if found.get("findings"):
        yield Hint(f"{found['findings']:,} rows differ between the two systems.", place, urgent=True)
    if found.get("quarantined"):
        link = reverse("admin:runs_quarantinedrow_changelist") + "?state__exact=open"
        yield Hint(f"{found['quarantined']:,} rows wait in quarantine: fix, retry or discard them.", link)
