"""Asking where tenants live. The answer is read fresh: a stale one would write to the wrong system."""

from __future__ import annotations

import threading
import time

from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from flags.models import TenantHome

_POLL_SECONDS = 0.02
LOCK_CLASS = 0x516B
"""Requests share the lock of (this, the tenant they write to); a move takes it alone."""


def in_iam() -> frozenset[str]:
    """The ids of the tenants at home in the IAM."""
    return frozenset(TenantHome.objects.filter(home=TenantHome.Home.IAM).values_list("tenant", flat=True))


def left_legacy() -> dict[str, tuple[int, str]]:
    """Per tenant that left legacy, the last entry of legacy's queue then, and what was committed there."""
    return _left("left_legacy_at", "left_legacy_snapshot")


def left_iam() -> dict[str, tuple[int, str]]:
    """The same for tenants that went back."""
    return _left("left_iam_at", "left_iam_snapshot")


def _left(last: str, snapshot: str) -> dict[str, tuple[int, str]]:
    homes = TenantHome.objects.exclude(**{last: 0, snapshot: ""})
    return {tenant: (at, committed) for tenant, at, committed in homes.values_list("tenant", last, snapshot)}


def of(tenant: str) -> TenantHome:
    """The tenant's home; one that nobody has decided about lives in legacy."""
    home = TenantHome.objects.filter(pk=tenant).first()
    return home or TenantHome(tenant=tenant, legacy_tenant=tenant)


def born_in_iam(tenant: str, name: str) -> None:
    """A tenant that legacy never had. The IAM's guard is told before its first row is written."""
    over = TenantHome.objects.exists() and not TenantHome.objects.filter(final=False).exists()
    TenantHome.objects.create(
        tenant=tenant, legacy_tenant=tenant, name=name, home=TenantHome.Home.IAM, changed_at=timezone.now(), final=over
    )
    with connections["iam"].cursor() as cursor:
        cursor.execute("SELECT to_regclass('portal_capture.homes')")
        if cursor.fetchone()[0] is not None:
            cursor.execute(
                "INSERT INTO portal_capture.homes (tenant, here) VALUES (%s, true)"
                " ON CONFLICT (tenant) DO UPDATE SET here = true",
                [tenant],
            )


def serving(tenant: str, *, write: bool) -> str:
    """The side that answers for the tenant now.

    A write to a tenant that is being moved waits for its new home; one that has begun keeps the tenant
    from being moved until `finish` says that the request is over.
    """
    if settings.LEGACY_SERVED_BY:  # the kill switch: everything to one side, whatever the homes say
        return str(settings.LEGACY_SERVED_BY)
    home = None
    if tenant:
        home = _begin(tenant) if write else _home(tenant)
    if home is None:  # none was named, or nobody has decided about it
        return TenantHome.Home.LEGACY if settings.LEGACY_UPSTREAM_URL else TenantHome.Home.IAM
    return home


def finish() -> None:
    """This thread's request is over: its writes are, too."""
    while _writing.tenants:
        _ask("SELECT pg_advisory_unlock_shared(%s, hashtext(%s))", _writing.tenants.pop())


def wait_for_writers(tenant: str, *, seconds: float) -> bool:
    """Wait until no request that may write to the held tenant is under way. Returns False past the deadline."""
    until = time.monotonic() + seconds
    while not _ask("SELECT pg_try_advisory_lock(%s, hashtext(%s))", tenant):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_SECONDS)
    _ask("SELECT pg_advisory_unlock(%s, hashtext(%s))", tenant)
    return True


def take_alone(tenant: str, *, seconds: float) -> None:
    """Let no request begin to write to the tenant until the end of the transaction. Raises OperationalError after `seconds`.

    What else the transaction waits for is bounded by the same time.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{max(int(seconds * 1000), 1)}ms"])
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK_CLASS, tenant])


def _home(tenant: str) -> str | None:
    """Every request asks this, so it goes past the ORM."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT home FROM flags_tenanthome WHERE tenant = %s", [tenant])
        row = cursor.fetchone()
    return row[0] if row else None


def _begin(tenant: str) -> str | None:
    if tenant in _writing.tenants:
        # A move that holds the tenant waits for us already: to wait for it would be a circle.
        return _home(tenant)
    while True:
        # The lock first: a move that holds the tenant afterwards waits for us, one that did before is seen.
        _ask("SELECT pg_advisory_lock_shared(%s, hashtext(%s))", tenant)
        _writing.tenants.append(tenant)  # at once: whatever fails now, `finish` lets go
        home, held = _home_and_hold(tenant)
        if not held:
            return home
        _writing.tenants.remove(tenant)
        _ask("SELECT pg_advisory_unlock_shared(%s, hashtext(%s))", tenant)
        time.sleep(_POLL_SECONDS)


def _home_and_hold(tenant: str) -> tuple[str | None, bool]:
    """By the database's clock: ours may be seconds off from that of the host which holds the tenant."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT home, coalesce(held_until > clock_timestamp(), false) FROM flags_tenanthome WHERE tenant = %s",
            [tenant],
        )
        row = cursor.fetchone()
    return (row[0], row[1]) if row else (None, False)


def _ask(statement: str, tenant: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [LOCK_CLASS, tenant])
        return bool(cursor.fetchone()[0])


class _Writing(threading.local):
    """The tenants that this thread's request may be writing to."""

    def __init__(self) -> None:
        self.tenants: list[str] = []


_writing = _Writing()
