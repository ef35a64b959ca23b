"""The cut-over board: tenants as rows, where they live, how far behind they are, and what can be done about it."""

from __future__ import annotations

from typing import Any

import psycopg
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from flags.models import TenantHome
from migration_portal import console, databases
from migration_portal.catchup.chart import lag_chart
from migration_portal.catchup.flows import captured_run
from migration_portal.catchup.models import Stream
from migration_portal.cutover import ask, blockers, finalize, guard
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.engine import capture, tenants
from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import rows
from migration_portal.plan.errors import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.opening import sides_of

_PAGE = 50
_SHOWN = 200


def urls(wrap: Any) -> list[URLPattern]:
    """The board's pages; `wrap` is the admin site's view wrapper."""
    return [
        path("", wrap(board), name="cutover"),
        path("live/", wrap(live), name="cutover_live"),
        path("move/", wrap(move), name="cutover_move"),
        path("guard/", wrap(switch_guard), name="cutover_guard"),
        path("finalize/", wrap(finish), name="cutover_finalize"),
        path("tenant/<str:pk>/", wrap(tenant), name="cutover_tenant"),
    ]


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, "flags.view_tenanthome")
    may = {
        "cut_over": request.user.has_perm("cutover.cut_over_tenant"),
        "reverse": request.user.has_perm("cutover.reverse_tenant"),
        "guard": request.user.has_perm("cutover.guard_tenant"),
        "finalize": request.user.has_perm("cutover.finalize_tenant"),
    }
    return console.page(request, "portal/cutover/board.html", "Cut-over", may=may, **_now(request))


def live(request: HttpRequest) -> TemplateResponse:
    """The part of the board that changes; what is ticked stays ticked."""
    console.need(request, "flags.view_tenanthome")
    return TemplateResponse(request, "portal/cutover/live.html", _now(request))


def _now(request: HttpRequest) -> dict[str, Any]:
    found: dict[str, Any] = {"run": captured_run(), "trouble": "", "ticked": set(request.GET.getlist("tenant"))}
    shown = Paginator(_filtered(request), _PAGE).get_page(request.GET.get("page"))
    found |= {"page": shown, "q": request.GET.get("q", ""), "home": request.GET.get("home", "")}
    found["counts"] = TenantHome.objects.aggregate(
        all=Count("pk"), iam=Count("pk", filter=Q(home=TenantHome.Home.IAM)), final=Count("pk", filter=Q(final=True))
    )
    found["streams"] = list(Stream.objects.order_by("direction"))
    found["chart"] = lag_chart()
    found["moves"] = list(Cutover.objects.select_related("tenant")[:8])
    latest: dict[str, Cutover] = {}
    for made in Cutover.objects.filter(tenant__in=[t.pk for t in shown]).order_by("id"):
        latest[made.tenant_id] = made
    found["latest"] = latest
    if found["run"] is not None:
        try:
            found |= _from_databases(found["run"], [t.pk for t in shown], [t.legacy_tenant for t in shown])
        except (Refusal, psycopg.Error) as error:
            found["trouble"] = str(error if isinstance(error, Refusal) else describe(error))
    return found


def _filtered(request: HttpRequest) -> QuerySet[TenantHome]:
    chosen = TenantHome.objects.all()
    if q := request.GET.get("q", "").strip():
        chosen = chosen.filter(Q(name__icontains=q) | Q(tenant__startswith=q.lower()) | Q(wave__icontains=q))
    if home := request.GET.get("home"):
        chosen = chosen.filter(home=home)
    return chosen


def _from_databases(run: Run, ids: list[str], legacy_ids: list[str]) -> dict[str, Any]:
    with databases.both("board") as (legacy, iam):
        users = rows(
            iam,
            "SELECT tenant_id::text AS id, count(*) AS n FROM users WHERE tenant_id = ANY(%s::uuid[]) GROUP BY 1",
            [ids],
        )
        waiting = {}
        if capture.installed(legacy):
            with legacy.transaction():
                waiting = capture.tenants_waiting(legacy)
        if capture.installed(iam):
            waiting |= capture.tenants_waiting(iam)
        quarantined = rows(
            iam,
            "SELECT lower(tenant) AS id, count(*) AS n FROM portal_ledger.quarantine"
            " WHERE run = %s AND state = 'open' AND tenant = ANY(%s) GROUP BY 1",
            [run.key, ids + legacy_ids],
        )
    return {
        "users": {row["id"]: row["n"] for row in users},
        "waiting": waiting,
        "quarantined": {row["id"]: row["n"] for row in quarantined},
        "strays": Stray.objects.filter(run=run.key, state="open").count(),
        "guard": guard.mode(),
    }


def move(request: HttpRequest) -> HttpResponse:
    """Cut over or reverse the ticked tenants, or all of them."""
    to_iam = request.POST.get("to") == "iam"
    permission = "cutover.cut_over_tenant" if to_iam else "cutover.reverse_tenant"
    back = request.POST.get("back") or reverse("cutover")

    def do() -> str:
        everything = request.POST.get("all") == "yes"
        chosen = (
            TenantHome.objects.all() if everything else TenantHome.objects.filter(pk__in=request.POST.getlist("tenant"))
        )
        word = "everything" if everything else "cut over" if to_iam else "reverse"
        if request.POST.get("typed", "").strip() != word:
            raise Refusal(f"To go on, type: {word}", subject="cut-over", todo="Nothing has changed.")
        if not chosen:
            raise Refusal("No tenant is ticked.", todo="Tick tenants on the board first.")
        verb = ask.cut_over if to_iam else ask.reverse
        wave = request.POST.get("wave", "").strip()[:100]
        asked = verb(list(chosen), by=console.by(request), reason=console.reason(request), wave=wave)
        return f"{len(asked):,} tenants are being moved, one after the other."

    safe = back if back.startswith("/admin/cutover/") else reverse("cutover")
    return console.act(request, permission, do, back=safe, done="")


def switch_guard(request: HttpRequest) -> HttpResponse:
    on = request.POST.get("on") == "yes"
    return console.act(
        request,
        "cutover.guard_tenant",
        lambda: guard.switch(on=on, by=console.by(request), reason=console.reason(request)),
        back=reverse("cutover"),
        done="The guard is on: each side refuses writes for tenants that live on the other."
        if on
        else "The guard is off.",
    )


def finish(request: HttpRequest) -> HttpResponse:
    def do() -> str:
        if request.POST.get("typed", "").strip() != "finalize":
            raise Refusal("To go on, type: finalize", subject="finalize", todo="Nothing has changed.")
        archive = finalize.finalize(by=console.by(request), reason=console.reason(request))
        return f"Finalized. The ledger is archived in schema {archive}."

    return console.act(request, "cutover.finalize_tenant", do, back=reverse("cutover"), done="")


def tenant(request: HttpRequest, pk: str) -> HttpResponse:
    """One tenant: what moving it touches, what is in the way, how it compares, and any of its users on both sides."""
    console.need(request, "flags.view_tenanthome")
    found = get_object_or_404(TenantHome, pk=pk)
    run = captured_run()
    context: dict[str, Any] = {"tenant": found, "run": run, "trouble": "", "moves": found.moves.all()[:20]}
    context["may_cut_over"] = request.user.has_perm("cutover.cut_over_tenant")
    context["may_reverse"] = request.user.has_perm("cutover.reverse_tenant")
    to = TenantHome.Home.LEGACY if found.home == TenantHome.Home.IAM else TenantHome.Home.IAM
    context["who"] = who = request.GET.get("user", "").strip()
    if run is not None:
        try:
            with sides_of(run, "tenant page") as sides:
                context["impact"] = blockers.impact(found, sides, run)
                context["blockers"] = blockers.blockers(found, to, sides, run)
                if request.GET.get("compare"):
                    context["compared"] = tenants.compare_tenant(sides, found.legacy_tenant, found.tenant)
                if who:
                    context["sides"] = _user_on_both_sides(sides, found, who)
        except (Refusal, psycopg.Error) as error:
            context["trouble"] = str(error if isinstance(error, Refusal) else describe(error))
    return console.page(request, "portal/cutover/tenant.html", str(found), **context)


def _user_on_both_sides(sides: Any, found: TenantHome, who: str) -> Any:
    with sides.legacy.transaction():
        row = sides.legacy.execute(
            "SELECT id::text FROM users WHERE tenant_id::text = %s AND (id::text = %s OR email = %s OR username = %s) LIMIT 1",
            [found.legacy_tenant, who, who, who],
        ).fetchone()
    if row is None:
        row = sides.iam.execute(
            "SELECT id::text FROM users WHERE tenant_id::text = %s AND (id::text = %s OR email = %s OR username = %s) LIMIT 1",
            [found.tenant, who, who, who],
        ).fetchone()
    if row is None:
        return None
    table = next(table for table in sides.plan.tables if table.target == "users")
    return [
        (name, legacy, iam, legacy == iam)
        for name, (legacy, iam) in tenants.row_on_both_sides(sides, table, [row[0]]).items()
    ]
