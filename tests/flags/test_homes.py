"""Where a tenant lives, and waiting while it moves."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
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


def test_a_request_that_asked_twice_has_ended_when_it_says_so_once(old: Old) -> None:
    tenant = str(old.tenant.pk)
    for _ in range(2):
        homes.serving(tenant, write=True)
    homes.finish()
    with ThreadPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(
            lambda: (homes.wait_for_writers(tenant, seconds=0.3), connections.close_all())
        ).result()[0]


def test_a_request_that_asked_of_two_tenants_lets_go_of_both(old: Old) -> None:
    tenants = [str(old.tenant.pk), str(uuid.uuid4())]
    for tenant in tenants:
        homes.serving(tenant, write=True)
    homes.finish()
    with ThreadPoolExecutor(1) as elsewhere:
        free = elsewhere.submit(
            lambda: ([homes.wait_for_writers(t, seconds=0.3) for t in tenants], connections.close_all())
        )
    assert free.result()[0] == [True, True]


def test_a_deletion_waits_for_its_tenant_as_any_write(old: Old) -> None:
    token, tenant = old.login().json()["access_token"], str(old.tenant.pk)
    TenantHome.objects.filter(pk=tenant).update(held_until=timezone.now() + timedelta(seconds=1.5))
    began = time.monotonic()
    headers = {"Authorization": f"Bearer {token}"}
    assert old.client.delete(f"/api/auth/users/{old.user.pk}", headers=headers).status_code == 400
    assert time.monotonic() - began > 1


def test_a_request_that_asks_again_does_not_wait_for_the_move_that_waits_for_it(old: Old) -> None:
    tenant = str(old.tenant.pk)
    assert homes.serving(tenant, write=True) == "iam"
    TenantHome.objects.filter(pk=tenant).update(held_until=timezone.now() + timedelta(seconds=20))
    began = time.monotonic()
    assert homes.serving(tenant, write=True) == "iam"
    assert time.monotonic() - began < 2
    homes.finish()
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lambda: (homes.wait_for_writers(tenant, seconds=1), connections.close_all())[0]).result()


def test_a_write_to_a_tenant_nobody_knows_yet_does_not_wait(old: Old) -> None:
    begun = time.monotonic()
    assert homes._begin("nobody-knows") is None
    homes.finish()
    assert time.monotonic() - begun < 1
