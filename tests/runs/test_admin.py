"""The run console over HTTP."""

from django.urls import reverse

from migration_portal.audit.models import Event
from migration_portal.runs.models import Run
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.verbs import VERBS
from tests import builders
from tests.console.browsing import browser
from tests.world import World


def test_start_pause_and_cancel_from_the_console(world: World) -> None:
    world.sample()
    client = browser("operator")
    assert client.post("/admin/runs/run/start/").headers["Location"] == "/admin/runs/run/1/change/"
    client.post("/admin/runs/run/1/do/pause/", {"reason": "lunch"})
    run = Run.objects.get()
    assert run.state == State.PAUSING
    page = client.get("/admin/runs/run/1/change/").content.decode()
    assert 'data-opens="do-resume"' in page
    assert 'data-opens="do-pause"' not in page
    client.post("/admin/runs/run/1/do/cancel/", {"reason": "enough"})
    run.refresh_from_db()
    assert run.state == State.CANCELLING
    assert Event.objects.get(verb="cancel").reason == "enough"
    assert Event.objects.get(verb="cancel").request_id


def test_a_second_operator_is_told_what_happened(world: World) -> None:
    world.sample()
    start(by="first")
    answer = browser("operator").post("/admin/runs/run/start/", follow=True)
    assert "Run 1 of this plan is running" in answer.content.decode()
    assert Run.objects.count() == 1


def test_undo_wants_the_name_typed_and_a_reason(world: World) -> None:
    world.sample()
    run = builders.migrated(world)
    client, url = browser("approver"), "/admin/runs/run/1/do/undo/"
    assert (
        "To confirm, type: Run 1" in client.post(url, {"reason": "x", "typed": "run 9"}, follow=True).content.decode()
    )
    assert "needs a reason" in client.post(url, {"typed": "Run 1"}, follow=True).content.decode()
    run.refresh_from_db()
    assert run.state == State.COMPLETED
    client.post(url, {"reason": "rehearsal", "typed": "Run 1"})
    run.refresh_from_db()
    assert run.state == State.UNDOING


def test_every_verb_has_a_dialog(world: World) -> None:
    world.sample()
    start(by="tester")
    client = browser("operator", "approver")
    page = client.get(reverse("admin:runs_run_change", args=[1])).content.decode()
    for name in VERBS:
        assert f'id="do-{name}"' in page
