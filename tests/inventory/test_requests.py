"""Snapshots are requested, and taken once."""

import pytest
from django.conf import settings

from migration_portal.inventory import requests
from migration_portal.inventory.models import Inventory, Preflight
from migration_portal.inventory.requests import take_now
from migration_portal.refusal import Refusal
from tests.servers import SERVER
from tests.world import World


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgres://portal:x@127.0.0.1:1/nowhere", "The server does not answer"),
        ("wrong password", "password authentication failed"),
        ("no such database", "does not exist"),
    ],
)
def test_an_unreachable_database_is_a_named_error(world: World, monkeypatch, url: str, message: str) -> None:
    place = SERVER.split("@")[1].rsplit("/", 1)[0]
    secret = SERVER.split("@")[0].rsplit(":", 1)[1]
    if url == "wrong password":
        url = f"postgres://portal:not-it@{place}/postgres"
    elif url == "no such database":
        url = SERVER.rsplit("/", 1)[0] + "/not_there"
    monkeypatch.setattr(settings, "LEGACY_DATABASE_URL", url)
    with pytest.raises(Refusal) as raised:
        take_now("inventory", by="tester")
    assert "legacy database" in str(raised.value)
    assert message in str(raised.value)
    assert secret not in str(raised.value)
    assert Inventory.objects.get().error


def test_a_requested_snapshot_is_taken_once(world: World) -> None:
    world.sample()
    record = requests.request("preflight", by="tester")
    assert requests.unfinished() == [("preflight", record.pk)]
    requests.take_requested("preflight", record.pk)
    first = Preflight.objects.get().finished_at
    requests.take_requested("preflight", record.pk)
    assert Preflight.objects.get().finished_at == first
    assert requests.unfinished() == []
