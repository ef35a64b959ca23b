"""The cut-over board: tenants as rows, where they live, how far behind they are, and what can be done about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from flags import reads
from flags.models import TenantHome
from migration_portal import console, databases
from migration_portal.approvals import acting
from migration_portal.catchup.chart import lag
from migration_portal.catchup.flows import captured_run
from migration_portal.catchup.models import FlowStatus
from migration_portal.console.charts import as_json
from migration_portal.cutover import approving, blockers, guard, people, reads_first, requests
from migration_portal.cutover.choosing import STATES, Choice
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.cutover.resolve import Field
from migration_portal.cutover.scope import scope_of
from migration_portal.engine import capture, capture_queue
from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import named
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import tenants
from migration_portal.refusal import Refusal
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run

_PAGE, _MOST_WAVES = 50, 200
_QUERIES = named(Path(__file__).parent / "cutover.sql")


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, "flags.view_tenanthome")
    may = {
        "cut_over": request.user.has_perm("cutover.cut_over_tenant"),
        "reverse": request.user.has_perm("cutover.reverse_tenant"),
        "stop": request.user.has_perm("cutover.plan_wave"),
        "guard": request.user.has_perm("cutover.guard_tenant"),
        "unguard": acting.may(request, approving.GUARD_OFF),
        "finalize": acting.may(request, approving.FINALIZE),
    }
    return console.page(request, "portal/cutover/board.html", "Cut-over", may=may, **_now(request))


def live(request: HttpRequest) -> TemplateResponse:
    """The part of the board that changes."""
    console.need(request, "flags.view_tenanthome")
    return TemplateResponse(request, "portal/cutover/live.html", _now(request))


def _now(request: HttpRequest) -> dict[str, Any]:
    now: dict[str, Any] = {"run": captured_run(), "trouble": ""}
    chosen = Choice.of(request.GET)
    shown = Paginator(chosen.tenants(now["run"]), _PAGE).get_page(request.GET.get("page"))
    now |= {"page": shown, "chosen": chosen, "states": STATES}
    waves = TenantHome.objects.exclude(wave="").order_by("wave").values_list("wave", flat=True)
    now["waves"] = list(waves.distinct()[:_MOST_WAVES])
    now["asked"] = f"?{chosen.query}&page={shown.number}"
    now["counts"] = TenantHome.objects.aggregate(
        all=Count("pk"),
        iam=Count("pk", filter=Q(home=TenantHome.Home.IAM)),
        final=Count("pk", filter=Q(final=True)),
        reading=Count("pk", filter=Q(reads_since__isnull=False)),
    )
    now["flows"] = list(FlowStatus.objects.order_by("direction"))
    now["lag"] = found = lag()
    now["charts"] = as_json([found.chart if found else None])
    now["moves"] = list(Cutover.objects.select_related("tenant")[:8])
    latest: dict[str, Cutover] = {}
    for made in Cutover.objects.filter(tenant__in=[t.pk for t in shown]).order_by("id"):
        latest[made.tenant_id] = made
    now["latest"] = latest
    if now["run"] is not None:
        try:
            now |= _from_databases(now["run"], [t.pk for t in shown], [t.legacy_tenant for t in shown])
        except (Refusal, psycopg.Error) as error:
            now["trouble"] = str(error if isinstance(error, Refusal) else describe(error))
    return now


def scope(request: HttpRequest) -> TemplateResponse:
    """What moving the chosen tenants would touch, for the dialog that asks whether to."""
    console.need(request, "flags.view_tenanthome")
    to = request.GET.get("to", "")
    tenants = _chosen(request.GET).exclude(home=to)
    found = scope_of([tenant.pk for tenant in tenants])
    blocked = sum(tenant.last_state == Cutover.State.BLOCKED for tenant in tenants)
    about = {"scope": found, "to": to, "blocked": blocked}
    return TemplateResponse(request, "portal/cutover/scope.html", about)


def _chosen(query: QueryDict) -> QuerySet[Any]:
    """The ticked tenants, or all that fit the board's search and filters."""
    everything = query.get("all") == "yes"
    tenants = (Choice.of(query) if everything else Choice()).tenants(captured_run())
    return tenants if everything else tenants.filter(pk__in=query.getlist("tenant"))


def _from_databases(run: Run, ids: list[str], legacy_ids: list[str]) -> dict[str, Any]:
    with databases.both("board") as (legacy, iam):
        users = rows(iam, _QUERIES["users"], {"tenants": ids})
        waiting = {}
        if capture.installed(legacy):
            with legacy.transaction():
                waiting = capture_queue.tenants_waiting(legacy)
        if capture.installed(iam):
            waiting |= capture_queue.tenants_waiting(iam)
        quarantined = rows(iam, _QUERIES["quarantined"], {"run": run.key, "tenants": ids + legacy_ids})
        mode = guard.mode_of(run, legacy, iam)
    return {
        "users": {row["id"]: row["n"] for row in users},
        "waiting": waiting,
        "quarantined": {row["id"]: row["n"] for row in quarantined},
        "strays": Stray.objects.filter(run=run.key, state=Stray.State.OPEN).count(),
        "guard": mode,
    }


def move(request: HttpRequest) -> HttpResponse:
    """Cut over or reverse the ticked tenants, or all of them."""
    to_iam = request.POST.get("to") == "iam"
    permission = "cutover.cut_over_tenant" if to_iam else "cutover.reverse_tenant"

    def do() -> str:
        everything, chosen = request.POST.get("all") == "yes", _chosen(request.POST)
        console.require_typed(request, "everything" if everything else "cut over" if to_iam else "reverse")
        if not chosen:
            raise Refusal("No tenant is ticked.", todo="Tick tenants on the board first.")
        verb = requests.cut_over if to_iam else requests.reverse
        wave = request.POST.get("wave", "").strip()[:100]
        moving = verb(list(chosen), by=console.by(request), reason=console.reason(request), wave=wave)
        return f"Moves requested: {len(moving):,}. Several tenants move at once."

    return console.act(request, permission, do, back=_back(request), done="")


def _back(request: HttpRequest) -> str:
    """The page of the board that it came from."""
    back = request.POST.get("back", "")
    return back if back.startswith("/admin/cutover/") else reverse("cutover")


def answer_reads(request: HttpRequest) -> HttpResponse:
    """Let the IAM answer the reads of the ticked tenants, or legacy again."""
    first = request.POST.get("to") == "iam"
    permission = "cutover.cut_over_tenant" if first else "cutover.reverse_tenant"

    def do() -> str:
        chosen = list(TenantHome.objects.filter(pk__in=request.POST.getlist("tenant")))
        if not chosen:
            raise Refusal("No tenant is ticked.", todo="Tick tenants on the board first.")
        verb = reads_first.reads_first if first else reads_first.reads_back
        count = verb(chosen, by=console.by(request), reason=console.reason(request))
        who = "the IAM, while it has all that they wrote" if first else "legacy"
        return f"Tenants whose reads are answered by {who}: {count:,}."

    return console.act(request, permission, do, back=_back(request), done="")


def switch_guard(request: HttpRequest) -> HttpResponse:
    """On at once; switching it off may want a second person."""
    back = reverse("cutover")
    if request.POST.get("on") != "yes":
        return acting.act(request, approving.GUARD_OFF, {}, subject="guard", back=back)
    return console.act(
        request, "cutover.guard_tenant",
        lambda: guard.switch(on=True, by=console.by(request), reason=console.reason(request)),
        back=back, done="The guard is on: each side refuses writes for tenants that live on the other.",
    )  # fmt: skip


def finish(request: HttpRequest) -> HttpResponse:
    pk = request.POST.get("tenant", "")
    one = TenantHome.objects.filter(pk=pk).first()
    return acting.act(
        request, approving.FINALIZE, {"tenant": pk}, subject=str(one) if one else pk or "all tenants in the IAM",
        back=reverse("cutover_tenant", args=[one.pk]) if one else reverse("cutover"),
        confirm=lambda: console.require_typed(request, "finalize"),
    )  # fmt: skip


def tenant(request: HttpRequest, pk: str) -> HttpResponse:
    """One tenant: what moving it touches, its blockers, how it compares, and any of its users on both sides."""
    console.need(request, "flags.view_tenanthome")
    chosen = get_object_or_404(TenantHome, pk=pk)
    run = captured_run()
    context: dict[str, Any] = {"tenant": chosen, "run": run, "trouble": "", "moves": chosen.moves.all()[:20]}
    context["may_cut_over"] = request.user.has_perm("cutover.cut_over_tenant")
    context["about"] = urlencode({"tenant": pk})
    context["may_finalize"] = acting.may(request, approving.FINALIZE)
    context["may_reverse"] = request.user.has_perm("cutover.reverse_tenant")
    context["reads_current"] = reads.current(chosen.tenant)
    to = TenantHome.Home.LEGACY if chosen.home == TenantHome.Home.IAM else TenantHome.Home.IAM
    context["who"] = who = request.GET.get("user", "").strip()
    if run is not None:
        try:
            with open_transfer(run, "tenant page") as transfer:
                context["impact"] = blockers.impact(chosen, transfer, run)
                context["blockers"] = blockers.blockers(chosen, to, transfer, run)
                if request.GET.get("compare"):
                    context["compared"] = tenants.compare_tenant(transfer, chosen.legacy_tenant, chosen.tenant)
                if who:
                    context["fields"] = _user_on_both_sides(transfer, chosen, who)
        except (Refusal, psycopg.Error) as error:
            context["trouble"] = str(error if isinstance(error, Refusal) else describe(error))
    return console.page(request, "portal/cutover/tenant.html", str(chosen), **context)


def _user_on_both_sides(transfer: Transfer, chosen: TenantHome, who: str) -> list[Field] | None:
    table = transfer.plan.find("users")
    key = people.legacy_key(transfer, table, chosen, who) if table else None
    if table is None or key is None:
        return None
    return [Field(name, *values) for name, values in tenants.row_on_both_sides(transfer, table, key).items()]
