"""Stray writes in the console."""

from __future__ import annotations

from migration_portal.cutover.models import Stray
from tests import builders
from tests.console.browsing import decided
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


def test_all_that_match_are_decided_at_once_after_a_page_of_figures(world: World, acme: str) -> None:
    builders.user(world, acme, username="bob")
    both_loops()
    moved(acme)
    legacy(world, "UPDATE users SET full_name = 'Stray'")
    both_loops()
    assert Stray.objects.count() == 2
    place, approver = "/admin/cutover/stray/", browser("approver")
    one = Stray.objects.first()
    assert "restore_many" not in browser("support").get(place).content.decode()
    about = decided(approver, place, "restore_many", one.pk, everything=True)
    assert "… written in legacy 2" in about and "Open stray writes" in about
    assert "needs a reason" in decided(approver, place, "restore_many", one.pk, everything=True, reason=" ")
    assert "other rows match now" in decided(approver, place, "restore_many", one.pk, reason="x", shown="2")
    assert Stray.objects.filter(state="open").count() == 2
    assert "Decided: 2." in decided(approver, place, "restore_many", one.pk, everything=True, reason="an old job")
    assert "None of these rows is open" in decided(approver, place, "restore_many", one.pk)
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
    ticked = Stray.objects.values_list("pk", flat=True)
    said_then = decided(browser("approver"), "/admin/cutover/stray/", "restore_many", *ticked, reason="mistake")
    assert "Decided: 1. Not decided: 1. users " in said_then
    assert Stray.objects.filter(state="open").count() == 1
