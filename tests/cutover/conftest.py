"""Tenants on the board."""

from __future__ import annotations

from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.cutover.moves import both_loops
from tests.cutover.waves import many as many  # the fixture
from tests.stack import furnished
from tests.world import World


@furnished
def acme(world: World) -> str:
    """Acme, with one user, on the board."""
    builders.legacy_tables(world)
    made = builders.tenant(world, name="Acme")
    builders.user(world, made, username="ann", email="ann@example.org")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return made


@furnished
def home(world: World) -> str:
    """A tenant with two users, migrated with capture, on the board."""
    builders.legacy_tables(world)
    made = builders.tenant(world)
    builders.user(world, made, username="ann")
    builders.user(world, made, username="bob")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return made
