"""A pytest plugin that is loaded before Django reads its settings: each test that asks for `world` gets databases of
its own, cloned from templates in some fifty milliseconds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import hypothesis
import psycopg
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.utils import timezone

from iam import passwords
from tests.servers import SERVER, WORKER, create, drop, url_of
from tests.world import World

DATABASES = ("portal", "legacy", "iam")
T = TypeVar("T")

# A machine that is busy makes no property false.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")
# Thousands of sign-ins, hardly any of which is about how long it takes. Other processes verify these hashes, too.
PBKDF2PasswordHasher.iterations = 1000
passwords._Argon2id.memory_cost, passwords._Argon2id.time_cost = 64, 1


def make_templates(portal: str, iam: str, server: str = SERVER) -> None:
    """A migrated portal database and an IAM database with its schema applied, to clone from."""
    from django.core.management import call_command

    from migration_portal.engine import ledger
    from migration_portal.schema import apply, scripts

    for name in (portal, iam):
        create(name, server)
    _point(portal, "postgres", iam, server)
    call_command("migrate", verbosity=0)
    with psycopg.connect(url_of(iam, server), autocommit=True) as connection:
        ledger.install(connection)
        scripts.apply(connection, scripts.read(apply.DIRECTORY), by="test")
    _close()


_LONG = ("tests/journeys", "tests/rehearsal", "tests/rollback")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys first, by each process its share: who came to a long one last would be waited for by everybody."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.nodeid.startswith(_LONG)]
    short = [item for item in items if not item.nodeid.startswith(_LONG)]
    each = -(-len(short) // processes)  # xdist gives each an equal part of the list
    items[:] = [item for at in range(processes) for item in (*long[at::processes], *short[at * each : (at + 1) * each])]


@pytest.fixture(scope="session")
def templates(django_db_blocker: Any) -> tuple[str, str]:
    """Names of the templates on the common server."""
    names = f"template_{WORKER}_portal", f"template_{WORKER}_iam"
    with django_db_blocker.unblock():
        for name in names:
            drop(name)
        make_templates(*names)
    return names


_count = itertools.count()


@contextlib.contextmanager
def inhabited(world: World, portal: str, iam: str, legacy: str = "template1") -> Iterator[World]:
    """Create the world's databases from the templates and point this process at them; its processes end with it."""
    import redis

    from flags import maintenance

    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()
    maintenance.forget()
    names = [f"{world.name}_portal", f"{world.name}_legacy", f"{world.name}_iam"]
    for name, template in zip(names, (portal, legacy, iam), strict=True):
        create(name, world.server, template)
    _point(*names, world.server)
    _anchor(world)
    try:
        yield world
    finally:
        world.stop()
        _close()


class _Furnished:
    """A world as it was built, to clone from: the names of its databases, and what building it returned."""

    def __init__(self) -> None:
        self.portal = self.legacy = self.iam = ""
        self.made: Any = None

    def keep(self, world: World, made: Any) -> None:
        world.hang_up()
        number = next(_count)
        for database in DATABASES:
            name = f"furnished_{WORKER}_{number}_{database}"
            drop(name)
            create(name, world.server, f"{world.name}_{database}")
            setattr(self, database, name)
        self.made = made


@pytest.fixture
def world(request: pytest.FixtureRequest, templates: tuple[str, str], django_db_blocker: Any) -> Iterator[World]:
    """Databases of its own: the portal migrated, the IAM's schema applied, legacy empty. Or as a `furnished` fixture left them."""
    made = World(f"world_{WORKER}_{next(_count)}")
    furnished = _furnished_for(request)
    names = (furnished.portal, furnished.iam, furnished.legacy) if furnished else templates
    with django_db_blocker.unblock():
        with inhabited(made, *names):
            yield made
        for database in DATABASES:
            drop(f"{made.name}_{database}")


def _furnished_for(request: pytest.FixtureRequest) -> _Furnished | None:
    """What the test's furnished fixture kept of an earlier test."""
    known = request.node._fixtureinfo.name2fixturedefs
    definitions = [definition for name in request.fixturenames for definition in known.get(name, ())[-1:]]
    kept = (getattr(definition.func, "furnished", None) for definition in definitions)
    return next((each for each in kept if each is not None and each.portal), None)


def furnished(build: Callable[[World], T]) -> Any:
    """A fixture: a world as `build` leaves it, and what it returned. Built once in each process, then cloned for each test.

    The loops that built it have just turned: in a clone their heartbeats would be as old as the first.
    """
    from migration_portal.catchup.models import FlowStatus

    kept = _Furnished()

    def fixture(world: World) -> T:
        if kept.portal:
            FlowStatus.objects.update(beat_at=timezone.now())
        else:
            made = build(world)
            _close()
            kept.keep(world, made)
        return kept.made  # type: ignore[no-any-return]

    fixture.furnished = kept  # type: ignore[attr-defined]
    return pytest.fixture(name=build.__name__)(fixture)


@pytest.fixture(scope="session")
def common_world(templates: tuple[str, str], django_db_blocker: Any) -> Iterator[World]:
    made = World(f"common_{WORKER}")
    with django_db_blocker.unblock():
        for database in DATABASES:
            drop(f"{made.name}_{database}")
        with inhabited(made, *templates):
            yield made


@pytest.fixture
def rolled_back(common_world: World, django_db_blocker: Any) -> Iterator[World]:
    """One world for all tests that start no processes and no threads: what each writes is rolled back."""
    import redis
    from django.db import transaction

    from flags import maintenance
    from flags.evaluate import definitions

    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()
    with django_db_blocker.unblock():
        _point(*(f"{common_world.name}_{database}" for database in DATABASES))
        _anchor(common_world)
        with transaction.atomic(), transaction.atomic(using="iam"):
            definitions(fresh=True)
            maintenance.forget()
            yield common_world
            transaction.set_rollback(True)
            transaction.set_rollback(True, using="iam")


def _point(portal: str, legacy: str, iam: str, server: str = SERVER) -> None:
    from django.conf import settings
    from django.db import connections

    passwords._met.clear()  # what another test met would be checked at each failure of this one
    settings.WHITENOISE_AUTOREFRESH = True  # each client of each test would look at every static file first
    settings.LEGACY_DATABASE_URL, settings.IAM_DATABASE_URL = url_of(legacy, server), url_of(iam, server)
    for alias, name in (("default", portal), ("iam", iam)):
        there = {"NAME": name, **_address(server)}
        if not there.items() <= connections[alias].settings_dict.items():
            connections[alias].close()
            connections[alias].settings_dict |= there


def _anchor(world: World) -> None:
    """Each world's audit chain has anchors of its own: those of another would seem to belie it."""
    from django.conf import settings

    settings.AUDIT_ANCHORS = os.environ["AUDIT_ANCHORS"] = f"{os.environ['PORTAL_HOME']}/anchors/{world.name}"


def _address(server: str) -> dict[str, Any]:
    parts = urlsplit(server)
    return {"HOST": parts.hostname, "PORT": parts.port, "USER": parts.username, "PASSWORD": parts.password}


def _close() -> None:
    from django.db import connections

    for connection in connections.all():
        connection.close()
