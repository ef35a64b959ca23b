from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections

from tests.journeys.moving import SIDES
from tests.journeys.own_servers import OwnServers
from tests.stack import inhabited, make_templates
from tests.wire import Wire
from tests.world import World


@dataclass
class OwnWorld(World):
    """A world on a server of its own, which the test may kill."""

    servers: OwnServers | None = None


@pytest.fixture
def own_world(django_db_blocker: Any) -> Iterator[OwnWorld]:
    with OwnServers() as servers, django_db_blocker.unblock():
        server = servers.url("postgres")
        make_templates("template_portal", "template_iam", server)
        made = OwnWorld("own", server, servers=servers)
        with inhabited(made, "template_portal", "template_iam"):
            yield made


@pytest.fixture
def wires(world: World, settings: Any) -> Iterator[dict[str, Wire]]:
    """One to each of the three databases, in use by the product; the test itself goes past them."""
    made = {side: Wire(world.url(side)) for side in SIDES}
    settings.LEGACY_DATABASE_URL, settings.IAM_DATABASE_URL = made["legacy"].url, made["iam"].url
    for alias, side in (("default", "portal"), ("iam", "iam")):
        connections[alias].close()
        connections[alias].settings_dict |= {"HOST": "127.0.0.1", "PORT": made[side].port}
    yield made
    for wire in made.values():
        wire.close()
    for alias in ("default", "iam"):
        connections[alias].close()
