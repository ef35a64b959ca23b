"""manage.py legacy_sample."""

import io

import pytest
from django.core.management import CommandError, call_command

from tests.world import World


def test_a_legacy_database_in_use_is_not_overwritten(world: World) -> None:
    call_command("legacy_sample", users=100, tenants=10, stdout=io.StringIO())
    with pytest.raises(CommandError, match="It already holds licenses, tenant_settings, tenants, users"):
        call_command("legacy_sample", users=100, tenants=10, stdout=io.StringIO())


def test_no_sample_is_put_beside_somebodys_tables(world: World) -> None:
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE staff (id int)")
    with pytest.raises(CommandError, match="It already holds staff"):
        call_command("legacy_sample", users=100, tenants=10, stdout=io.StringIO())


def test_a_sample_of_the_other_flavour_takes_the_place_of_the_first(world: World) -> None:
    for flavour in ("released", "documented", "released"):
        call_command("legacy_sample", users=100, tenants=10, flavour=flavour, replace=True, stdout=io.StringIO())
    with world.legacy() as legacy:
        there = legacy.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert there == (26,)
