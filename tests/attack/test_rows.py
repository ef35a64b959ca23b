"""Rows between tenants of different homes."""

from migration_portal.cutover.models import Stray
from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved


def two(world):
    builders.legacy_tables(world)
    a, b = builders.tenant(world), builders.tenant(world)
    builders.user(world, a, username="ann")
    builders.user(world, b, username="bob")
    builders.licence(world, a, license_key="KEY-A")
    builders.licence(world, b, license_key="KEY-B")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return a, b


def test_legacy_takes_a_row_from_a_tenant_that_left(world):
    a, b = two(world)
    assert moved(a).error == ""
    iam(world, "UPDATE users SET full_name = 'From the IAM' WHERE username = 'ann'")
    both_loops()
    iam(world, "UPDATE users SET bio = 'only in the IAM' WHERE username = 'ann'")
    legacy(world, "UPDATE users SET tenant_id = %s, bio = 'stolen' WHERE username = 'ann'", b)
    both_loops()
    print(list(Stray.objects.values_list("direction", "what", "key")))
    assert iam(world, "SELECT tenant_id::text, bio FROM users WHERE username = 'ann'") == [(a, "only in the IAM")]
    assert Stray.objects.count() >= 1


def test_the_iam_takes_a_row_from_a_tenant_at_home_in_legacy(world):
    a, b = two(world)
    assert moved(a).error == ""
    iam(world, "UPDATE users SET tenant_id = %s, bio = 'stolen' WHERE username = 'bob'", a)
    both_loops()
    print(list(Stray.objects.values_list("direction", "what", "key")))
    assert legacy(world, "SELECT tenant_id, bio FROM users WHERE username = 'bob'") == [(b, None)]
    assert Stray.objects.count() >= 1


def test_a_licence_key_of_a_tenant_that_left_is_not_parked_for_another(world):
    a, _ = two(world)
    assert moved(a).error == ""
    with world.legacy() as c, c.transaction():
        c.execute("DELETE FROM licenses WHERE license_key = 'KEY-A'")
        c.execute("UPDATE licenses SET license_key = 'KEY-A' WHERE license_key = 'KEY-B'")
    both_loops()
    print(
        list(Stray.objects.values_list("direction", "what", "key")),
        iam(world, "SELECT tenant_id::text, license_key FROM licenses"),
    )
    assert iam(world, "SELECT license_key FROM licenses WHERE tenant_id = %s", a) == [("KEY-A",)]
