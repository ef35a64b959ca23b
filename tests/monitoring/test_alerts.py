"""Alerts: told once, acknowledged, silenced, delivered with a signature and again after a failure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.core import mail
from django.db.models.functions import Now
from django.utils import timezone

from migration_portal.approvals.models import Approval
from migration_portal.audit.models import Event
from migration_portal.monitoring import alerts, watch
from migration_portal.monitoring.alerts import Condition
from migration_portal.monitoring.models import Alert, Delivery
from migration_portal.refusal import Refusal
from tests.world import World

FULL = Condition("health:disk:a", "warning", "The disk of a is 95 % full.", "Make room.")


class Hook(HTTPServer):
    """A webhook that remembers what it was sent, and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    server = Hook()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    settings.ALERT_PLACES = [f"http://127.0.0.1:{server.server_port}/hook"]
    settings.ALERT_SECRET = "shared"
    yield server
    server.shutdown()
    server.server_close()


def test_a_condition_is_one_alert_from_its_beginning_to_its_end(rolled_back: World) -> None:
    for _ in range(3):
        alerts.tell([FULL], of="health:")
    alert = Alert.objects.get()
    assert alert.state == "open"
    alerts.tell([], of="health:")
    alert.refresh_from_db()
    assert alert.state == "resolved"
    alerts.tell([FULL], of="health:")
    assert Alert.objects.count() == 2


def test_it_is_sent_once_when_it_begins_and_once_when_it_ends(rolled_back: World, hook: Hook) -> None:
    alerts.tell([FULL], of="health:")
    alerts.tell([FULL], of="health:")
    assert alerts.deliver() == 1 and alerts.deliver() == 0
    alerts.tell([], of="health:")
    assert alerts.deliver() == 1
    assert [json.loads(body)["event"] for _, body in hook.got] == ["began", "resolved"]


def test_what_is_sent_is_signed(rolled_back: World, hook: Hook) -> None:
    alerts.tell([FULL], of="health:")
    alerts.deliver()
    headers, body = hook.got[0]
    expected = alerts.signature("shared", headers["X-Sigma-Timestamp"], body)
    assert headers["X-Sigma-Signature"] == f"sha256={expected}"


def test_a_place_that_fails_is_tried_again_and_then_given_up(rolled_back: World, hook: Hook) -> None:
    hook.status = 500
    alerts.tell([FULL], of="health:")
    for _ in range(10):
        Delivery.objects.update(next_at=Now() - timedelta(seconds=1))
        assert alerts.deliver() == 0
    delivery = Delivery.objects.get()
    assert delivery.attempts == 6 and "answered 500" in delivery.error
    Delivery.objects.update(attempts=5)
    hook.status = 204
    assert alerts.deliver() == 1


def test_between_two_attempts_it_waits(rolled_back: World, hook: Hook) -> None:
    hook.status = 500
    alerts.tell([FULL], of="health:")
    alerts.deliver()
    alerts.deliver()
    assert len(hook.got) == 1


def test_mail_goes_out(rolled_back: World, settings: Any) -> None:
    settings.ALERT_PLACES = ["mailto:ops@example.org"]
    alerts.tell([FULL], of="health:")
    alerts.deliver()
    assert mail.outbox[0].to == ["ops@example.org"] and FULL.what in mail.outbox[0].subject


def test_a_silenced_alert_sends_nothing_when_it_ends(rolled_back: World, hook: Hook) -> None:
    alerts.tell([FULL], of="health:")
    alerts.deliver()
    alerts.silence(Alert.objects.get(), hours=1, by="tester", reason="being mended")
    alerts.tell([], of="health:")
    assert alerts.deliver() == 0
    assert Event.objects.filter(verb="silence_alert", reason="being mended").exists()


def test_it_is_acknowledged_once(rolled_back: World) -> None:
    alerts.tell([FULL], of="health:")
    alert = Alert.objects.get()
    alerts.acknowledge(alert, by="tester")
    with pytest.raises(Refusal, match="acknowledged already"):
        alerts.acknowledge(alert, by="another")
    assert not Alert.objects.loud().exists() and Alert.objects.open().exists()


def test_one_watcher_does_not_resolve_what_another_saw(rolled_back: World) -> None:
    alerts.tell([FULL], of="health:")
    alerts.tell([], of="rollback:")
    assert Alert.objects.get().state == "open"


def test_who_can_agree_is_told_that_something_waits(rolled_back: World) -> None:
    asked = Approval.objects.create(
        action="widen_feature", subject="new_ui_enabled", place="/admin/features/new_ui_enabled/", reason="the pilot went well",
        requested_by="otto", expires_at=timezone.now() + timedelta(hours=24),
    )  # fmt: skip
    [said] = [each for each in watch.conditions() if each.key == f"health:asked:{asked.pk}"]
    assert "otto asks for a second person: widen feature, new_ui_enabled." in said.what
    asked.decision = Approval.Decision.WITHDRAWN
    asked.save()
    assert not [each for each in watch.conditions() if "asked" in each.key]
