"""Two screens that are no lists: pre-flight, and the plan beside both schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from migration_portal import console, databases
from migration_portal.engine import catalog, lookups
from migration_portal.inventory import requests
from migration_portal.inventory.expressions import expressions, given
from migration_portal.inventory.models import Preflight
from migration_portal.plan import checks
from migration_portal.plan.loader import load
from migration_portal.plan.mentioned import words
from migration_portal.plan.model import Catalog, Column, Table, TableInfo
from migration_portal.refusal import Refusal


def preflight(request: HttpRequest) -> HttpResponse:
    """The last pre-flight; a POST asks for a new one."""
    if request.method == "POST":
        return console.act(
            request,
            "inventory.run_preflight",
            lambda: requests.request("preflight", by=console.by(request)) and None,
            back=reverse("preflight"),
            done="Pre-flight is under way.",
        )
    console.need(request, "inventory.view_preflight")
    record = Preflight.objects.first()
    findings = record.content.get("findings", []) if record else []
    context = {
        "record": record,
        "errors": [finding for finding in findings if finding["severity"] == "error"],
        "warnings": [finding for finding in findings if finding["severity"] == "warning"],
        "infos": [finding for finding in findings if finding["severity"] == "info"],
        "completeness": record.content.get("completeness", []) if record else [],
        "may_run": request.user.has_perm("inventory.run_preflight"),
    }
    return console.page(request, "portal/inventory/preflight.html", "Pre-flight", **context)


def plan(request: HttpRequest) -> HttpResponse:
    """The plan, read-only: legacy column -> expression -> IAM column."""
    console.need(request, "inventory.view_preflight")
    context: dict[str, Any] = {"trouble": "", "path": settings.MIGRATION_PLAN}
    try:
        plan = context["plan"] = load(settings.MIGRATION_PLAN)
        with databases.both("plan") as (legacy, iam):
            with legacy.transaction():
                source = catalog.read(legacy, plan.source_schema)
            target = catalog.read(iam, plan.target_schema)
            plan = lookups.with_found(legacy, iam, plan, target)
            context["findings"] = checks.check(plan, source, target)
            if not any(finding.severity == "error" for finding in context["findings"]):
                databases.enter(legacy, plan.source_schema)
                context["findings"] += [*expressions(legacy, plan, target), *given(iam, plan, target)]
        context["lost"] = checks.lost_in_reverse(plan, source) if set(plan.read) <= set(source) else {}
        context["tables"] = [
            {
                "table": table,
                "rows": [
                    {
                        "column": column,
                        "reads": _reads(table, column, source),
                        "type": _full_type(target.get(table.target), column.name),
                        "secret": column.name in table.secret,
                    }
                    for column in table.columns
                ],
                "back": list(_back(table)),
            }
            for table in plan.tables
        ]
    except Refusal as refusal:
        context["trouble"] = str(refusal)
    return console.page(request, "portal/inventory/plan.html", "Plan", **context)


def _reads(table: Table, column: Column, source: Catalog) -> list[str]:
    """The legacy columns that an expression mentions; those of a table that is read, with its name."""
    mentioned = set(words(column.reading))

    def of(name: str) -> list[str]:
        return [each for each in source[name].columns if each in mentioned] if name in source else []

    read = [f"{each.source}.{name}" for each in table.reads for name in of(each.source) if each.source in mentioned]
    return [*of(table.source), *read]


def _back(table: Table) -> Iterator[dict[str, Any]]:
    """The reverse sections: into the table itself, and into those that it reads."""
    for name, columns, lossy in [
        (table.source, table.reverse, table.lossy), *((read.source, read.reverse, read.lossy) for read in table.reads),
    ]:  # fmt: skip
        for column in columns:
            yield {"place": f"{name}.{column.name}", "column": column, "lossy": column.name in lossy}


def _full_type(info: TableInfo | None, name: str) -> str:
    return info.columns[name].full_type if info and name in info.columns else ""
