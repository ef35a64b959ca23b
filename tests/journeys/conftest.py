from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.journeys.own_servers import OwnServers
from tests.stack import inhabited, make_templates
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
