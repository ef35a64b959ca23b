"""How long do searches of the audit log take when it is long?

    make bench-audit

Ten million events (`--events`), written by SQL with no digests. Each search is made with other values every time, as the desk makes
it: a page of fifty and the facets. The peer is the search of a Django admin list over the same columns, as the console had it
before: it looks for the words anywhere and counts what matches.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier
from rich.console import Console
from rich.table import Table

from bench.setup import scratch
from config import embedded

if TYPE_CHECKING:
    from django.test import Client

_ROUNDS, _OF_PEER = 40, 3
_WANTED_MS = 300
_AT_ONCE = 1_000_000
_FILL = """
INSERT INTO audit_event (at, actor, verb, object_type, object_id, reason, request_id, run, data, previous, digest)
SELECT timestamptz '2026-01-01' + n * interval '1 second', 'operator' || (n * n) %% 40, 'verb' || n %% 60,
       'kind' || n %% 12, (n * 7919 %% 1000000)::text, 'ticket ' || n %% 300000 || ' of wave ' || n %% 500,
       md5((n / 5)::text), CASE WHEN n %% 3 = 0 THEN n %% 400 END, jsonb_build_object('tenant', (n %% 10000)::text), '',
       md5(n::text) || md5((-n)::text)
  FROM generate_series(%s::bigint, %s::bigint) AS n
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    events = parser.parse_args().events
    with ExitStack() as stack:
        scratch(stack)
        stack.callback(embedded.start().stop)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        fill(events)
        measure(events)
    return 0


def fill(events: int) -> None:
    """As the owner of the tables, without the indexes meanwhile."""
    from migration_portal import databases

    with databases.of_side("portal", "bench") as portal:
        found = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'audit_event' AND indexname LIKE 'audit_by_%'"
        )
        indexes = portal.execute(found).fetchall()
        for name, _ in indexes:
            portal.execute(SQL("DROP INDEX {}").format(Identifier(name)))
        for first in range(1, events + 1, _AT_ONCE):
            portal.execute(_FILL, [first, min(first + _AT_ONCE - 1, events)])
        for _, definition in indexes:
            # As they are listed they would be of the parent alone, and of none of its partitions.
            portal.execute(definition.replace(" ON ONLY ", " ON "))
        portal.execute("VACUUM ANALYZE audit_event")


def measure(events: int) -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    from migration_portal.audit.desk import Search
    from migration_portal.audit.models import Event

    chance = random.Random(7)
    client = Client(HTTP_HOST="localhost")
    client.force_login(User.objects.create_superuser("bench", password="bench-password-1"))

    def some(most: int) -> str:
        return str(chance.randrange(most))

    def day() -> str:
        return f"2026-{chance.randrange(1, 4):02}-{chance.randrange(1, 28):02}T12:00"

    searches: dict[str, Callable[[], Search]] = {
        "the latest": Search,
        "an actor": lambda: Search(actor=f"operator{some(40)}"),
        "a verb": lambda: Search(verb=f"verb{some(60)}"),
        "an object": lambda: Search(object_type="kind3", object_id=some(1_000_000)),
        "a tenant": lambda: Search(tenant=some(10_000)),
        "a run": lambda: Search(run=some(400)),
        "a request": lambda: Search(request_id="c4ca4238a0b923820dcc509a6f75849b"),
        "an actor until a day": lambda: Search(actor=f"operator{some(40)}", until=day()),
        "an actor and a verb": lambda: Search(actor=f"operator{some(40)}", verb=f"verb{some(60)}"),
        "anything: an id": lambda: Search(q=some(1_000_000)),
        "anything: words of a reason": lambda: Search(q=f"ticket {some(300_000)}"),
    }
    table = Table(title=f"{events:,} events; milliseconds; asked for: p95 ≤ {_WANTED_MS}")
    for column in ("search", "page, p50", "page, p95", "facets, p95", "whole, p95", ""):
        table.add_column(column, justify="left" if column == "search" else "right")
    for name, search in searches.items():
        pages, facets, wholes = [], [], []
        for _ in range(_ROUNDS):
            asked = search()
            pages.append(timed(asked.page))
            facets.append(timed(asked.facets))
            wholes.append(timed(lambda asked=asked: opened(client, asked.said)))  # type: ignore[misc]
        whole = p95(wholes)
        table.add_row(
            name, f"{statistics.median(pages):.0f}", f"{p95(pages):.0f}", f"{p95(facets):.0f}", f"{whole:.0f}",
            "yes" if whole <= _WANTED_MS else "no",
        )  # fmt: skip
    peer = [timed(lambda: _as_a_list(Event, f"ticket {some(300_000)}")) for _ in range(_OF_PEER)]
    table.add_row("a Django admin list, words", f"{statistics.median(peer):.0f}", f"{max(peer):.0f}", "", "", "peer")
    Console(width=110).print(table)


def opened(client: Client, said: dict[str, str]) -> None:
    assert client.get("/admin/audit/event/", said).status_code == 200


def _as_a_list(events: type, words: str) -> None:
    from django.db.models import Q

    found = events.objects.all()  # type: ignore[attr-defined]
    for word in words.split():
        wanted = Q()
        for field in ("actor", "verb", "object_id", "reason", "request_id"):
            wanted |= Q(**{f"{field}__icontains": word})
        found = found.filter(wanted)
    found.count()
    list(found.order_by("-id")[:100])


def timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return 1000 * (time.perf_counter() - began)


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    sys.exit(main())
