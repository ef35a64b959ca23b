"""The pages of backups: who may do what, and only by POST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from migration_portal.backups import reconcile, restore, swap
from migration_portal.backups.models import Backup, Check, Reconciliation, Restoration, Written
from tests import builders
from tests.backups.builders import backed_up, checked
from tests.console.browsing import browser
from tests.servers import drop
from tests.world import World


@pytest.fixture
def approver(world: World) -> Client:
    return browser("approver")


def test_an_operator_backs_up_by_a_button(world: World) -> None:
    client = browser("operator")
    assert client.get("/admin/backups/make/").status_code == 405
    answer = client.post("/admin/backups/make/", {"side": "legacy"}, follow=True)
    assert "Legacy is being backed up." in answer.content.decode()
    assert Backup.objects.get().side == "legacy"
    answer = client.post("/admin/backups/make/", {"side": "legacy"}, follow=True)
    assert "A backup of it is under way" in answer.content.decode()
    assert client.post("/admin/backups/make/", {"side": "moon"}).status_code == 404


def test_a_viewer_sees_and_does_nothing(world: World, backups: Path) -> None:
    backup = backed_up("iam")
    client = browser("viewer")
    assert client.get("/admin/backups/").status_code == 200
    assert client.get(f"/admin/backups/{backup.pk}/").status_code == 200
    for path in ("make/", "adopt/", f"{backup.pk}/verify/", f"{backup.pk}/restore/"):
        assert client.post(f"/admin/backups/{path}", {"side": "iam", "into": "x"}).status_code == 403


def test_the_board_says_what_is_validated(approver: Client, backups: Path) -> None:
    assert "Nothing was backed up yet" in approver.get("/admin/backups/").content.decode()
    backup = backed_up("portal")
    assert "until then nobody knows whether it restores" in approver.get("/admin/backups/live/").content.decode()
    checked(backup, 3)
    assert "L3 validated" in approver.get("/admin/backups/live/").content.decode()
    assert "it restores into a scratch database" in approver.get(f"/admin/backups/{backup.pk}/").content.decode()


def test_a_check_is_requested_by_its_level(approver: Client, backups: Path) -> None:
    backup = backed_up("portal")
    approver.post(f"/admin/backups/{backup.pk}/verify/", {"level": "2"})
    assert Check.objects.get().level == 2
    assert approver.post(f"/admin/backups/{backup.pk}/verify/", {"level": "9"}).status_code == 404


def test_a_drill_through_the_pages(world: World, approver: Client, backups: Path) -> None:
    builders.legacy_tables(world)
    acme = builders.tenant(world)
    backup = backed_up("legacy")
    name = f"{world.name}_new"
    answer = approver.post(f"/admin/backups/{backup.pk}/restore/", {"into": name, "reason": "a drill"})
    made = Restoration.objects.get()
    assert answer["Location"] == f"/admin/backups/restorations/{made.pk}/"
    restore.perform(made)
    try:
        builders.user(world, acme)
        page = f"/admin/backups/restorations/{made.pk}/"
        assert "every row is what the dump's snapshot held" in approver.get(page).content.decode()
        approver.post(f"{page}swap/", {"typed": "wrong", "reason": "a drill"})
        made.refresh_from_db()
        assert made.swapped_at is None
        approver.post(f"{page}swap/", {"typed": name, "reason": "a drill"})
        made.refresh_from_db()
        assert made.state == "swapped" and made.kept_as in approver.get(page).content.decode()
        approver.post(f"{page}list/")
        reconcile.perform(Reconciliation.objects.get())
        assert acme in approver.get(page).content.decode()
        approver.post(f"{page}decide/", {"tenant": [acme], "decision": "leave", "reason": "a drill"})
        assert Written.objects.get().decision == "left"
    finally:
        drop(name)
        if made.kept_as:
            drop(made.kept_as)


def test_who_may_restore_may_not_swap(world: World, backups: Path) -> None:
    made = restore.request(backed_up("iam"), into=f"{world.name}_new", by="tester", reason="x")
    client = browser("operator")
    assert (
        client.post(f"/admin/backups/restorations/{made.pk}/swap/", {"typed": made.into, "reason": "x"}).status_code
        == 403
    )
    assert client.post(f"/admin/backups/restorations/{made.pk}/decide/", {"reason": "x"}).status_code == 403


def test_nothing_is_swapped_before_it_is_restored(world: World, backups: Path, settings: Any) -> None:
    from migration_portal.refusal import Refusal

    made = restore.request(backed_up("iam"), into=f"{world.name}_new", by="tester", reason="x")
    with pytest.raises(Refusal, match="It is requested"):
        swap.swap(made, by="tester", reason="x")
