"""One table of a run anew, by catch-up."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from migration_portal.audit.models import Event
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.refusal import Refusal
from migration_portal.runs.reload import reload
from tests import builders
from tests.console.browsing import browser, words
from tests.cutover.moves import both_loops, moved
from tests.world import World


def test_what_was_damaged_in_the_iam_is_mended_and_who_lives_there_left_alone(world: World) -> None:
    builders.legacy_tables(world)
    here, there = builders.tenant(world, slug="here"), builders.tenant(world, slug="there")
    for tenant in (here, there):
        for name in ("ann", "bob"):
            builders.user(world, tenant, username=f"{name}-{tenant[:4]}", email=f"{name}-{tenant[:4]}@example.org")
    run = builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(there).error == ""
    world.sql("iam", "SET portal.applying = 'on'", "UPDATE users SET email = 'damaged' WHERE username ^@ 'ann-'")
    world.sql(
        "iam", "SET portal.applying = 'on'", "DELETE FROM user_roles", "DELETE FROM users WHERE username ^@ 'bob-'"
    )
    assert reload(run, "users", by="otto", reason="somebody ran a script") == ["users", "user_roles"]
    both_loops()
    rows = dict(world.sql("iam", "SELECT username, email FROM users"))
    assert rows == {f"ann-{here[:4]}": f"ann-{here[:4]}@example.org", f"bob-{here[:4]}": f"bob-{here[:4]}@example.org",
                    f"ann-{there[:4]}": "damaged"}  # fmt: skip
    event = Event.objects.get(verb="reload_table")
    assert (event.run, event.data["table"], event.actor) == (run.pk, "users, user_roles", "otto")


def test_what_cannot_be_reloaded(world: World) -> None:
    world.sample(users=80, tenants=8)
    plain = builders.migrated(world)
    with pytest.raises(Refusal, match="with capture"):
        reload(plain, "users", by="otto", reason="x")
    captured = builders.migrated(world, capture=True)
    for table, reason, message in (("nothing", "x", "no such table"), ("users", " ", "reason")):
        with pytest.raises(Refusal, match=message):
            reload(captured, table, by="otto", reason=reason)
    with pytest.raises(Refusal, match="latest run"):
        reload(plain, "users", by="otto", reason="x")


def test_by_a_dialog_and_from_a_terminal(world: World) -> None:
    world.sample(users=80, tenants=8)
    run = builders.migrated(world, capture=True)
    place = f"/admin/runs/run/{run.pk}/reload/"
    assert browser("viewer").post(place, {"table": "users", "reason": "x"}).status_code == 403
    said = words(browser("operator").post(place, {"table": "users", "reason": "damaged"}, follow=True))
    assert "Catch-up brings users, user_roles anew" in said and "Bring a table anew?" in said
    told = io.StringIO()
    call_command("portal", "reload", str(run.pk), "tenants", "--reason", "damaged", stdout=told)
    assert "Catch-up brings tenants anew" in told.getvalue()
    waiting = world.sql("legacy", "SELECT table_name FROM portal_capture.queue WHERE key IS NULL ORDER BY 1")
    assert waiting == [("tenants",), ("users",)]
