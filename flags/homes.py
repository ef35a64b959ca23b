"""Asking where tenants live. The answer is read fresh: a stale one would write to the wrong system."""

from __future__ import annotations

import threading
import time

from django.conf import settings
from django.db import connection

from flags.models import TenantHome

_POLL_SECONDS = 0.02
_LOCK_CLASS = 0x516B


def in_iam() -> frozenset[str]:
    """The ids of the tenants at home in the IAM."""
    return frozenset(TenantHome.objects.filter(home=TenantHome.Home.IAM).values_list("tenant", flat=True))


def left_legacy() -> dict[str, int]:
    """Per tenant that left legacy, the last entry of legacy's queue that is from before."""
    return dict(TenantHome.objects.filter(left_legacy_at__gt=0).values_list("tenant", "left_legacy_at"))


def left_iam() -> dict[str, int]:
    """The same for tenants that went back."""
    return dict(TenantHome.objects.filter(left_iam_at__gt=0).values_list("tenant", "left_iam_at"))


def of(tenant: str) -> TenantHome:
    """The tenant's home; one that nobody has decided about lives in legacy."""
    home = TenantHome.objects.filter(pk=tenant).first()
    return home or TenantHome(tenant=tenant, legacy_tenant=tenant)


def born_in_iam(tenant: str, name: str) -> None:
    """A tenant that legacy never had."""
    TenantHome.objects.create(tenant=tenant, legacy_tenant=tenant, name=name, home=TenantHome.Home.IAM)


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


def _home(tenant: str) -> str | None:
    """Every request asks this, so it goes past the ORM."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT home FROM flags_tenanthome WHERE tenant = %s", [tenant])
        row = cursor.fetchone()
    return row[0] if row else None


def _begin(tenant: str) -> str | None:
    while True:
        # The lock first: a move that holds the tenant afterwards waits for us, one that did before is seen.
        _ask("SELECT pg_advisory_lock_shared(%s, hashtext(%s))", tenant)
        home = of(tenant)
        if not home.held:
            _writing.tenants.append(tenant)
            return None if home._state.adding else home.home
        _ask("SELECT pg_advisory_unlock_shared(%s, hashtext(%s))", tenant)
        time.sleep(_POLL_SECONDS)


def _ask(statement: str, tenant: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [_LOCK_CLASS, tenant])
        return bool(cursor.fetchone()[0])


class _Writing(threading.local):
    """The tenants that this thread's request may be writing to."""

    def __init__(self) -> None:
        self.tenants: list[str] = []


_writing = _Writing()
