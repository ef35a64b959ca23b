"""The decommission page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from migration_portal import console
from migration_portal.console.charts import as_json
from migration_portal.decommission.remaining import remaining
from migration_portal.decommission.trend import trend


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, "flags.view_tenanthome")
    rows, found = remaining() if console.counting(request) else [], trend()
    return console.page(
        request, "portal/decommission/board.html", "Decommission", rows=rows, left=sum(not row.done for row in rows),
        counted=console.counting(request), trend=found, charts=as_json([found.chart]),
    )  # fmt: skip
