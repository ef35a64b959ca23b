"""manage.py legacy_sample."""

import io

import pytest
from django.core.management import CommandError, call_command

from tests.world import World


def test_a_legacy_database_in_use_is_not_overwritten(world: World) -> None:
    call_command("legacy_sample", users=100, tenants=10, stdout=io.StringIO())
    with pytest.raises(CommandError, match="It already holds licenses, tenant_settings, tenants, users"):
        call_command("legacy_sample", users=100, tenants=10, stdout=io.StringIO())
