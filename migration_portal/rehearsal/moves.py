"""On the stage: how fast catch-up is, and what moving tenants costs their writers, under writes and requests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
from django.db import connections
from django.db.models import Count
from django.test import Client
from psycopg.sql import SQL, Identifier

from flags.models import TenantHome
from iam import forms
from iam.models import User
from migration_portal import databases
from migration_portal.catchup.flows import FLOWS
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import requests
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.engine.catchup import batches
from migration_portal.rehearsal.figures import QUERIES
from migration_portal.runs.models import QuarantinedRow, Run

_BURST = 20_000
_MOST_SECONDS = 120.0


def catch_up(run: Run) -> dict[str, Any]:
    """Write a burst to the largest table of legacy, and apply it: entries a second."""
    entries = _written(run, _BURST)
    with FLOWS["forward"](run, "rehearsal") as flow:
        began = time.monotonic()
        applied = batches.drain(flow, deadline=began + _MOST_SECONDS).entries
    return {"entries_per_second": round(applied / (time.monotonic() - began)), "entries": entries}


def _written(run: Run, most: int) -> int:
    """Rows written once more as they are; capture sees a write."""
    plan = run.plan
    made_of, about = (plan.find("users") or plan.tables[0]).made_of, {"schema": plan.source_schema}
    with databases.legacy_writable("rehearsal") as legacy:
        databases.enter(legacy, plan.source_schema)
        [name] = legacy.execute(QUERIES["largest"], about | {"tables": list(made_of)}).fetchone() or [
            next(iter(made_of))
        ]
        key = Identifier(made_of[name][0])
        writable = legacy.execute(QUERIES["writable"], about | {"table": name, "key": made_of[name][0]}).fetchone()
        statement = SQL("UPDATE {table} SET {column} = {column} WHERE {key} IN (SELECT {key} FROM {table} LIMIT {most})").format(
            table=Identifier(plan.source_schema, name), column=Identifier(writable[0]) if writable else key, key=key,
            most=SQL(str(most)),
        )  # fmt: skip
        return legacy.execute(statement).rowcount


def to_and_fro(run: Run, *, tenants: int, writes: float, told: Callable[[int, int], None]) -> dict[str, Any]:
    """Move the smallest, the middling and the largest tenants to the IAM and back, while legacy is written to at the measured
    pace and users of the moved ask who they are. Each move with its hold in milliseconds.
    """
    sync_tenants()
    chosen = _sample(run, tenants)
    answered: Counter[str] = Counter()
    with _beside(lambda: follow("forward", seconds=0.5)), _beside(lambda: follow("reverse", seconds=0.5)):
        _until_followed()
        with _beside(lambda: _write_for_a_while(run, writes)), _beside(lambda: _read(chosen, answered)):
            moved = list(_moved(chosen, "iam", told))
            moved += _moved([one for one in chosen if TenantHome.objects.get(pk=one).home == "iam"], "legacy", told)
    blocked = set(
        QuarantinedRow.objects.filter(run=run.key, state="open").exclude(tenant=None).values_list("tenant", flat=True)
    )
    return {
        "moves": moved, "requests": dict(answered), "tenants": TenantHome.objects.count(), "tenants_blocked": len(blocked),
    }  # fmt: skip


def _sample(run: Run, wanted: int) -> list[str]:
    """A third each of the smallest, the middling and the largest that nothing in quarantine would block."""
    dirty = set(QuarantinedRow.objects.filter(run=run.key, state="open").values_list("tenant", flat=True))
    users = dict(User.objects.values_list("tenant_id").annotate(Count("id")))
    homes = [tenant for tenant in TenantHome.objects.all() if not {tenant.tenant, tenant.legacy_tenant} & dirty]
    sizes = sorted(homes, key=lambda tenant: users.get(_as_uuid(tenant.tenant), 0))
    third = max(wanted // 3, 1)
    middle = max((len(sizes) - third) // 2, 0)
    picked = [*sizes[:third], *sizes[middle : middle + third], *sizes[-third:]]
    return list(dict.fromkeys(tenant.pk for tenant in picked))[:wanted]


def _as_uuid(text: str) -> Any:
    return User._meta.get_field("tenant").target_field.to_python(text)


def _moved(chosen: list[str], home: str, told: Callable[[int, int], None]) -> Iterator[dict[str, Any]]:
    for number, pk in enumerate(chosen):
        told(number + (len(chosen) if home == "legacy" else 0), 2 * len(chosen))
        tenant = TenantHome.objects.get(pk=pk)
        began = time.monotonic()
        verb = requests.cut_over if home == "iam" else requests.reverse
        asked = verb([tenant], by="rehearsal", reason="rehearsal", wave="rehearsal")[0]
        while Cutover.objects.under_way().filter(pk=asked.pk).exists():
            work()
        asked.refresh_from_db()
        users = User.objects.filter(tenant_id=pk).count()
        yield {
            "tenant": tenant.name, "users": users, "to": home, "state": asked.state, "hold_ms": asked.hold_ms,
            "seconds": round(time.monotonic() - began, 2), "error": asked.error,
        }  # fmt: skip


def _until_followed() -> None:
    until = time.monotonic() + _MOST_SECONDS
    while time.monotonic() < until and FlowStatus.objects.filter(entries=0, beat_at__isnull=False).count() < 2:
        time.sleep(0.2)


@contextmanager
def _beside(do: Callable[[], Any]) -> Iterator[None]:
    """Do it again and again in a thread of its own, until the end of the block."""
    over = threading.Event()

    def again() -> None:
        try:
            while not over.is_set():
                do()
        finally:
            connections.close_all()

    thread = threading.Thread(target=again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def _write_for_a_while(run: Run, per_second: float) -> None:
    if per_second <= 0:
        time.sleep(1.0)
        return
    with suppress(psycopg.Error):  # its tenant is being moved: an application would try again
        _written(run, 1)
    time.sleep(1 / min(per_second, 200.0))


def _read(chosen: list[str], answered: Counter[str]) -> None:
    """One request of a user whose tenant is in the IAM at the moment."""
    there = TenantHome.objects.filter(pk__in=chosen, home="iam").values_list("pk", flat=True)
    user = User.objects.filter(tenant_id__in=list(there), is_active=True).order_by("?").first()
    if user is None:
        time.sleep(0.2)
        return
    claims = {"sub": user.username, "user_id": str(user.pk), "tenant_id": str(user.tenant_id)}
    token = forms.signed_as_legacy(claims, timedelta(minutes=5))
    answer = Client().get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    answered["ok" if answer.status_code < 500 else "failed"] += 1
    time.sleep(0.02)
