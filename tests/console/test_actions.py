"""Every action: for whom, and only by POST."""

from django.test import Client

from migration_portal.audit.models import Event
from migration_portal.runs.models import Run
from tests import builders
from tests.console.browsing import browser
from tests.world import World

POSTS = {
    "/admin/runs/run/start/": {"operator"},
    "/admin/runs/run/1/do/pause/": {"operator"},
    "/admin/runs/run/1/do/resume/": {"operator"},
    "/admin/runs/run/1/do/cancel/": {"operator"},
    "/admin/runs/run/1/do/retry/": {"operator"},
    "/admin/runs/run/1/do/force/": {"operator"},
    "/admin/runs/run/1/do/verify/": {"operator"},
    "/admin/runs/run/1/do/undo/": {"approver"},
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
