"""Where a tenant lives, and waiting while it moves."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from flags import homes
from flags.models import TenantHome
from tests.legacy_compat.conftest import Old
from tests.legacy_compat.upstream import Upstream
from tests.world import eventually


def test_a_write_waits_for_the_tenant_and_goes_to_its_new_home(old: Old, upstream: Upstream) -> None:
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(
        home="legacy", held_until=timezone.now() + timedelta(seconds=20)
    )

    def flip() -> None:
        time.sleep(0.4)
        TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="iam", held_until=None)

    thread = threading.Thread(target=flip)
    thread.start()
    began = time.monotonic()
    answer = old.login(tenant_id=str(old.tenant.pk))
    thread.join()
    assert answer.status_code == 200 and time.monotonic() - began > 0.3
    assert upstream.seen == []


def test_a_read_does_not_wait(old: Old, upstream: Upstream) -> None:
    token = old.login().json()["access_token"]
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(held_until=timezone.now() + timedelta(seconds=20))
    began = time.monotonic()
    assert old.get("/api/auth/me", token).status_code == 200
    assert time.monotonic() - began < 2


def test_a_tenant_is_not_moved_while_a_write_to_it_is_under_way(old: Old, upstream: Upstream, settings: Any) -> None:
    """As the move does it: the hold first, then it waits for the requests that began before."""
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy")
    settings.LEGACY_UPSTREAM_SECONDS, upstream.behave = 5, "slow"
    thread = threading.Thread(target=lambda: (old.login(tenant_id=str(old.tenant.pk)), connections.close_all()))
    thread.start()
    eventually(lambda: upstream.seen)
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(held_until=timezone.now() + timedelta(seconds=20))
    assert not homes.wait_for_writers(str(old.tenant.pk), seconds=0.2)
    assert homes.wait_for_writers(str(old.tenant.pk), seconds=5)
    thread.join()
