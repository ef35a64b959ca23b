import pytest

from migration_portal.cutover.models import Stray
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved


def test_constant_overlapping_writers_do_not_starve_a_whole_table(world, home):
    """Two writers that take turns: at no instant is the entry free, though every transaction is short."""
    legacy(world, "UPDATE portal_capture.brake SET upto = 0")
    legacy(world, "UPDATE users SET bio = 'committed' WHERE username = 'bob'")
    one, two = world.legacy(), world.legacy()
    one.execute("BEGIN")
    one.execute("UPDATE users SET bio = '0' WHERE username = 'ann'")
    for _ in range(8):
        two.execute("BEGIN")
        two.execute(
            "INSERT INTO users (id, tenant_id, hashed_password) VALUES (gen_random_uuid()::text, %s, 'x')", [home]
        )
        one.execute("COMMIT")
        both_loops()
        one, two = two, one
    seen = iam(world, "SELECT bio FROM users WHERE username = 'bob'")
    one.close(), two.close()
    assert seen == [("committed",)]


def test_verification_after_a_stray_past_the_cap_says_so(world, home):
    moved(home)
    legacy(world, "UPDATE portal_capture.brake SET upto = 0")
    legacy(world, "UPDATE users SET bio = 'stray' WHERE username = 'ann'")
    both_loops()
    verify(Run.objects.get(), by="t")
    run = builders.finish(Run.objects.get())
    assert Stray.objects.count() or not report(run).passed


def test_legacys_own_trigger_that_sets_the_tenant_does_not_pass_the_guard(world, home):
    import psycopg

    from migration_portal.cutover import guard

    other = builders.tenant(world)
    both_loops()
    guard.switch(on=True, by="t")
    assert moved(home).error == ""
    legacy(
        world,
        f"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tenant_id := '{home}'; RETURN NEW; END $$",
    )
    legacy(world, "CREATE TRIGGER set_tenant BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION t()")
    with pytest.raises(psycopg.Error, match="other system"):
        legacy(
            world, "INSERT INTO users (id, tenant_id, hashed_password) VALUES (gen_random_uuid()::text, %s, 'x')", other
        )
