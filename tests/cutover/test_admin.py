"""Stray writes in the console."""

from __future__ import annotations

from migration_portal.cutover.models import Stray
from tests import builders
from tests.cutover.board import browser, said
from tests.cutover.moves import both_loops, legacy, moved
from tests.world import World


def test_a_stray_write_is_shown_on_both_sides_and_decided_with_a_reason(world: World, acme: str) -> None:
    moved(acme)
    legacy(world, "UPDATE users SET full_name = 'Stray'")
    both_loops()
    stray = Stray.objects.get()
    place = f"/admin/cutover/stray/{stray.pk}/"
    page = browser("support").get(place + "change/").content.decode()
    assert "Stray" in page and "Ann Lee" in page and "differs" in page
    assert browser("operator").post(place + "decide/", {"verb": "restore", "reason": "x"}).status_code == 403
    approver = browser("approver")
    for stale in ("take", "drop", ""):  # a page that was opened before an upgrade, or none of ours
        assert "Reload the page" in said(approver, place + "decide/", {"verb": stale, "reason": "x"})
    assert "needs a reason" in said(approver, place + "decide/", {"verb": "restore"})
    assert "Decided" in said(approver, place + "decide/", {"verb": "restore", "reason": "mistake"})
    assert legacy(world, "SELECT full_name FROM users") == [("Ann Lee",)]


def test_all_that_the_list_shows_are_decided_at_once(world: World, acme: str) -> None:
    builders.user(world, acme, username="bob")
    both_loops()
    moved(acme)
    legacy(world, "UPDATE users SET full_name = 'Stray'")
    both_loops()
    assert Stray.objects.count() == 2
    place, approver = "/admin/cutover/stray/decide/", browser("approver")
    assert "Accept the open ones" in approver.get("/admin/cutover/stray/").content.decode()
    assert "Accept the open ones" not in browser("support").get("/admin/cutover/stray/").content.decode()
    assert "nothing to decide" in said(approver, f"{place}?tenant=nobody&q=nobody", {"verb": "restore", "reason": "x"})
    assert "needs a reason" in said(approver, place, {"verb": "restore", "reason": " "})
    assert browser("operator").post(place, {"verb": "restore", "reason": "x"}).status_code == 403
    assert "Decided: 2." in said(approver, place, {"verb": "restore", "reason": "an old job"})
    assert legacy(world, "SELECT DISTINCT full_name FROM users") == [("Ann Lee",)]
    assert not Stray.objects.filter(state="open").exists()


def test_what_cannot_be_decided_with_the_others_is_said_and_stays_open(world: World, acme: str) -> None:
    builders.user(world, acme, username="bob")
    both_loops()
    moved(acme)
    legacy(world, "UPDATE users SET full_name = 'Stray'")
    both_loops()
    with world.legacy() as keeper:
        keeper.execute("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not bob'; END $$")
        keeper.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.username = 'bob') EXECUTE FUNCTION no();"
            "ALTER TABLE users ENABLE ALWAYS TRIGGER no"
        )
    said_then = said(browser("approver"), "/admin/cutover/stray/decide/", {"verb": "restore", "reason": "mistake"})
    assert "Decided: 1. Open still: 1." in said_then
    assert Stray.objects.filter(state="open").count() == 1
