"""The console over HTTP: who may do what, only by POST, and no secret on any page."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from migration_portal.audit import chain
from migration_portal.audit.models import Event
from migration_portal.inventory import asking
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.verbs import VERBS
from tests import builders
from tests.stack import World


def browser(*groups: str) -> Client:
    client = Client(enforce_csrf_checks=False)
    client.force_login(builders.member(*groups))
    return client


PAGES = (
    "/admin/", "/admin/dashboard/live/", "/admin/runs/run/", "/admin/runs/run/1/change/", "/admin/runs/run/1/live/",
    "/admin/runs/run/1/report/", "/admin/runs/run/1/report.json", "/admin/inventory/inventory/",
    "/admin/inventory/inventory/1/change/", "/admin/inventory/inventory/1/download.txt",
    "/admin/inventory/inventory/1/download.json", "/admin/inventory/inventory/compare/?before=1&after=1",
    "/admin/preflight/", "/admin/plan/", "/admin/schema/appliedscript/", "/admin/audit/event/",
    "/admin/audit/event/1/change/", "/admin/cutover/", "/admin/cutover/live/",
)  # fmt: skip
QUARANTINE = ("/admin/runs/quarantinedrow/", "/admin/runs/quarantinedrow/1/change/")


def test_every_page_opens_for_a_viewer_and_shows_no_secret(world: World) -> None:
    world.sample(rate=0.02)
    asking.now("inventory", by="tester")
    asking.now("preflight", by="tester")
    builders.migrated(world)
    viewer, support, operator = browser("viewer"), browser("support"), browser("operator")
    with world.legacy() as legacy:
        secrets = [
            value
            for row in legacy.execute(
                "SELECT hashed_password, mfa_secret_encrypted, refresh_token FROM users LIMIT 200"
            )
            for value in row
            if value
        ]
    for page in (*PAGES, *QUARANTINE, "/admin/runs/quarantinedrow/export/"):
        client = viewer if page in PAGES else operator if "export" in page else support
        answer = client.get(page)
        assert answer.status_code == 200, page
        body = answer.getvalue().decode()
        assert not any(secret in body for secret in secrets), page
    assert all(viewer.get(page).status_code == 403 for page in QUARANTINE)
    assert support.get("/admin/runs/quarantinedrow/export/").status_code == 403


def test_pages_of_an_empty_portal_say_what_to_do(world: World) -> None:
    with world.iam() as iam:
        iam.execute("DROP SCHEMA portal_ledger CASCADE")
    client = browser("operator")
    for page, words in (
        ("/admin/", "Take an inventory"), ("/admin/runs/run/", "No run yet"),
        ("/admin/runs/quarantinedrow/", "Nothing in quarantine"), ("/admin/inventory/inventory/", "No inventory yet"),
        ("/admin/preflight/", "No pre-flight yet"), ("/admin/schema/appliedscript/", "Apply 7 scripts"),
    ):  # fmt: skip
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert words in answer.content.decode(), page


def test_anonymous_visitors_see_only_the_login(world: World) -> None:
    for page in (*PAGES, *QUARANTINE):
        assert Client().get(page).status_code == 302, page


POSTS = {
    "/admin/runs/run/start/": {"operator"},
    "/admin/runs/run/1/do/pause/": {"operator"},
    "/admin/runs/run/1/do/resume/": {"operator"},
    "/admin/runs/run/1/do/cancel/": {"operator"},
    "/admin/runs/run/1/do/retry/": {"operator"},
    "/admin/runs/run/1/do/force/": {"operator"},
    "/admin/runs/run/1/do/verify/": {"operator"},
    "/admin/runs/run/1/do/undo/": {"approver"},
    "/admin/runs/quarantinedrow/retry/": {"operator"},
    "/admin/runs/quarantinedrow/1/retry/": {"operator"},
    "/admin/runs/quarantinedrow/1/discard/": {"approver"},
    "/admin/inventory/inventory/take/": {"operator"},
    "/admin/preflight/": {"operator"},
    "/admin/schema/appliedscript/apply/": {"operator"},
    "/admin/schema/appliedscript/roll-back/": {"approver"},
    "/admin/audit/event/verify/": {"support", "operator", "approver"},
}


def test_each_action_is_for_its_groups_and_only_by_post(world: World) -> None:
    world.sample()
    builders.migrated(world)
    clients = {name: browser(name) for name in ("viewer", "support", "operator", "approver")}
    before = Event.objects.count()
    for url, groups in POSTS.items():
        for name, client in clients.items():
            if name not in groups:
                assert client.post(url).status_code == 403, (url, name)
            if url != "/admin/preflight/":
                assert client.get(url).status_code == 405, (url, name)
    assert Event.objects.count() == before


def test_a_post_without_csrf_token_is_refused(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(builders.member("operator"))
    assert client.post("/admin/runs/run/start/").status_code == 403
    assert not Run.objects.exists()


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
    assert "type its name" in client.post(url, {"reason": "x", "typed": "run 9"}, follow=True).content.decode()
    assert "needs a reason" in client.post(url, {"typed": "Run 1"}, follow=True).content.decode()
    run.refresh_from_db()
    assert run.state == State.COMPLETED
    client.post(url, {"reason": "rehearsal", "typed": "Run 1"})
    run.refresh_from_db()
    assert run.state == State.UNDOING


def test_a_database_that_is_away_is_told_on_the_page(world: World, settings) -> None:
    world.sample()
    start(by="tester")
    client = browser("operator")
    settings.IAM_DATABASE_URL = "postgres://portal:x@127.0.0.1:1/nowhere"
    for page in (
        "/admin/",
        "/admin/runs/run/1/change/",
        "/admin/runs/run/1/report/",
        "/admin/schema/appliedscript/",
        "/admin/plan/",
    ):
        body = client.get(page).content.decode()
        assert "The server does not answer" in body, page
        assert "portal:x" not in body


def test_quarantine_can_be_filtered_searched_and_exported(world: World) -> None:
    world.sample(rate=0.02)
    builders.migrated(world)
    client = browser("operator")
    page = client.get("/admin/runs/quarantinedrow/?table_name=users&reason=id_not_uuid").content.decode()
    assert set(re.findall(r"user-\d+", page)) == {"user-1", "user-2"}
    assert "user-1" in client.get("/admin/runs/quarantinedrow/?q=user-1").content.decode()
    lines = client.get("/admin/runs/quarantinedrow/export/?table_name=users").getvalue().decode().splitlines()
    assert len(lines) == 1 + QuarantinedRow.objects.filter(table_name="users").count()
    assert lines[0].startswith("table,legacy_key,tenant,reason")


def test_exported_cells_are_no_formulas(world: World) -> None:
    builders.legacy_tables(world)
    builders.tenant(world, id="=cmd()", name="+1", slug="@x")
    builders.migrated(world)
    body = browser("operator").get("/admin/runs/quarantinedrow/export/").getvalue().decode()
    assert "'=cmd()" in body


def test_the_chain_is_verified_by_button(world: World) -> None:
    chain.record("start")
    client = browser("support")
    assert (
        "All 1 events are as they were written"
        in client.post("/admin/audit/event/verify/", follow=True).content.decode()
    )
    with world.portal() as portal:
        portal.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        portal.execute("UPDATE audit_event SET actor = 'x' WHERE id = 1")
    assert "broken at event 1" in client.post("/admin/audit/event/verify/", follow=True).content.decode()


def test_every_verb_has_a_dialog(world: World) -> None:
    world.sample()
    start(by="tester")
    client = browser("operator", "approver")
    page = client.get(reverse("admin:runs_run_change", args=[1])).content.decode()
    for name in VERBS:
        assert f'id="do-{name}"' in page


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_probes_answer_without_login(world: World, path: str) -> None:
    assert Client().get(path).json() == {"status": "ok"}
