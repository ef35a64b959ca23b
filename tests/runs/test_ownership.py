"""One portal at a time, and none that has forgotten a flip."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from flags.models import TenantHome
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import move
from migration_portal.cutover.adopt import adopt
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine import owner
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Portal, Run
from migration_portal.runs.ownership import AnotherPortal, PortalOutdated
from migration_portal.runs.retry import discard_rows
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.stack import furnished
from tests.world import World


@furnished
def home(world: World) -> str:
    builders.legacy_tables(world)
    made = builders.tenant(world)
    builders.user(world, made, full_name="Legacy")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return made


def test_a_portal_restored_from_before_a_flip_overwrites_nothing(world: World, home: str) -> None:
    before = Portal.objects.values("key", "epoch").get()
    assert moved(home).state == "done"
    iam(world, "UPDATE users SET full_name = 'IAM'")
    both_loops()
    Portal.objects.update(**before)  # as the backup has it
    TenantHome.objects.update(home="legacy", left_legacy_at=0, left_legacy_snapshot="")
    legacy(world, "UPDATE users SET full_name = 'Overwrites'")
    with (
        pytest.raises(PortalOutdated, match="restored from an earlier state"),
        open_transfer(Run.objects.get(), "test"),
    ):
        pass
    follow("forward", seconds=0.3)
    assert "portal adopt" in FlowStatus.objects.get(pk="forward").error
    assert iam(world, "SELECT full_name FROM users") == [("IAM",)]
    assert adopt(by="tester", reason="restored") == 1
    assert TenantHome.objects.get(pk=home).home == "iam"
    both_loops()
    assert iam(world, "SELECT full_name FROM users") == [("IAM",)]


def test_a_second_portal_is_refused_until_it_adopts(world: World, home: str) -> None:
    Portal.objects.update(key=uuid.uuid4())
    with pytest.raises(AnotherPortal, match="Another portal"), open_transfer(Run.objects.get(), "test"):
        pass
    with pytest.raises(AnotherPortal, match="Another portal"):
        discard_rows([], by="tester", reason="not ours to decide")
    adopt(by="tester", reason="the first one is gone")
    with open_transfer(Run.objects.get(), "test"):
        pass


def test_adopting_believes_legacys_guard_where_the_iams_knows_nothing(world: World, home: str) -> None:
    legacy(world, "UPDATE users SET bio = 'captured'")
    both_loops()
    assert moved(home).error == ""
    iam(world, "DELETE FROM portal_capture.homes")
    TenantHome.objects.update(home="legacy", left_legacy_at=0, left_legacy_snapshot="")
    adopt(by="tester", reason="restored")
    known = TenantHome.objects.get(pk=home)
    last = legacy(world, "SELECT last_value FROM portal_capture.queue_id_seq")[0][0]
    assert (known.home, known.left_legacy_at, known.left_iam_at) == ("iam", last, 0)


def test_a_flip_is_signed_before_the_new_side_is_opened(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = []
    set_home = move.guard.set_home

    def then_look(connection: Any, tenant: str, *, here: bool) -> None:
        set_home(connection, tenant, here=here)
        if here:
            known = owner.read(connection, "portal_ledger")
            signed.append(known is not None and known.epoch == Portal.objects.get().epoch)

    monkeypatch.setattr(move.guard, "set_home", then_look)
    assert moved(home).error == ""
    assert signed == [True]
