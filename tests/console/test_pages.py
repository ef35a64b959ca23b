"""Every page: who may see it, what it says when there is nothing, and no secret on any."""

from django.test import Client

from migration_portal.inventory.requests import take_now
from migration_portal.runs.start import start
from tests import builders
from tests.console.browsing import browser
from tests.world import World

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
    take_now("inventory", by="tester")
    take_now("preflight", by="tester")
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
        ("/admin/preflight/", "No pre-flight yet"), ("/admin/schema/appliedscript/", "Apply 12 scripts"),
    ):  # fmt: skip
        answer = client.get(page)
        assert answer.status_code == 200, page
        assert words in answer.content.decode(), page


def test_anonymous_visitors_see_only_the_login(world: World) -> None:
    for page in (*PAGES, *QUARANTINE):
        assert Client().get(page).status_code == 302, page


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
