"""How long do the console's pages take when there is much to show?

    make bench-pages
    make bench-pages ARGS="--users 100000 --tenants 1000 --events 1000000"

A million users in ten thousand tenants, copied with capture, one tenant in ten at home in the IAM; ten million events. Every page
of the menu, and those of a run, a tenant, a person and an event, as Django answers a superuser, without the network: milliseconds
and queries. There is no peer: what is asked for is 150 ms.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bench.audit import fill as fill_events
from bench.audit import p95, timed
from bench.setup import scratch
from config import embedded

if TYPE_CHECKING:
    from django.test import Client

_ROUNDS = 12
_WANTED_MS = 150


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    asked = parser.parse_args()
    with ExitStack() as stack:
        scratch(stack)
        stack.callback(embedded.start().stop)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("portal", "apply_schema", verbosity=0)
        fill_events(asked.events)
        _migrate(asked)
        _measure(asked)
    return 0


def _migrate(asked: Any) -> None:
    from flags.models import TenantHome
    from migration_portal import databases
    from migration_portal.cutover.tenants import sync_tenants
    from migration_portal.runs.advance import advance
    from migration_portal.runs.start import start
    from migration_portal.runs.work import work
    from migration_portal.sample.dirt import Dirt
    from migration_portal.sample.fill import fill

    with databases.legacy_writable("bench") as legacy:
        fill(legacy, Dirt(asked.users, asked.tenants, 0.001), seed=1)
    run = start(by="bench", capture=True)
    while run.state == "running":
        work(run.pk)
        advance(run)
        run.refresh_from_db()
    sync_tenants()
    moved = TenantHome.objects.order_by("pk").values("pk")[: asked.tenants // 10]
    TenantHome.objects.filter(pk__in=list(moved.values_list("pk", flat=True))).update(home="iam")


def _measure(asked: Any) -> None:
    from django.contrib.auth.models import User
    from django.db import connections
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(HTTP_HOST="localhost")
    client.force_login(User.objects.create_superuser("bench", password="bench-password-1"))
    table = Table(
        title=f"{asked.users:,} users, {asked.tenants:,} tenants, {asked.events:,} events; asked for: p95 ≤ {_WANTED_MS} ms"
    )
    for column in ("page", "p50, ms", "p95, ms", "of what is asked for", "queries"):
        table.add_column(column, justify="left" if column == "page" else "right")
    for name, place in _places(client):
        client.get(place)  # what a process keeps it has by then
        with CaptureQueriesContext(connections["default"]) as ours, CaptureQueriesContext(connections["iam"]) as iam:
            client.get(place)
        queries = len(ours) + len(iam)  # a later request forgets them
        taken = [timed(lambda place=place: _got(client, place)) for _ in range(_ROUNDS)]  # type: ignore[misc]
        share = p95(taken) / _WANTED_MS
        table.add_row(
            name, f"{statistics.median(taken):.0f}", f"{p95(taken):.0f}", f"{share:.2f}" + (" !" if share > 1 else ""),
            str(queries),
        )  # fmt: skip
    Console(width=110).print(table)


def _places(client: Client) -> list[tuple[str, str]]:
    """Names and addresses: of the menu, and of one of each kind of thing."""
    from django.contrib import admin
    from django.urls import reverse

    from flags.models import TenantHome
    from iam.models import User
    from migration_portal.runs.models import Run

    request = client.get("/admin/").wsgi_request
    menu = [
        (str(item["title"]), str(item.get("link_callback") or item["link"]))
        for group in admin.site.get_sidebar_list(request)  # type: ignore[attr-defined]
        for item in group["items"]
    ]
    run, tenant, person = Run.objects.all()[0], TenantHome.objects.all()[0], User.objects.all()[0]
    return [
        *menu,
        ("A run", reverse("admin:runs_run_change", args=[run.pk])),
        ("A run's report", reverse("admin:runs_run_report", args=[run.pk])),
        ("The board, what it asks for", reverse("cutover_live")),
        ("The dashboard, what it asks for", reverse("dashboard_live")),
        ("A tenant", reverse("cutover_tenant", args=[tenant.pk])),
        ("A feature", reverse("feature", args=["new_ui_enabled"])),
        ("A person", reverse("person", args=[person.pk])),
        ("Support, a search", f"{reverse('support')}?q={person.username}"),
        ("The palette", f"{reverse('admin:search')}?s=company"),
    ]


def _got(client: Client, place: str) -> None:
    answer = client.get(place)
    assert answer.status_code == 200, (place, answer.status_code)


if __name__ == "__main__":
    raise SystemExit(main())
