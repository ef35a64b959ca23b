import uuid

import pytest

from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard
from migration_portal.engine import capture
from migration_portal.refusal import Refusal
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Chunk, QuarantinedRow
from migration_portal.runs.retry import retry_rows
from migration_portal.runs.start import start
from migration_portal.runs.work import work
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy
from tests.engine.changes import caught_up

PARTS = """DROP TABLE licenses;
CREATE TABLE licenses (id varchar(36) PRIMARY KEY, license_key varchar(255), license_secret varchar(255), tenant_id varchar(36),
 template_id varchar(36), linked_subscription varchar(36), issued_at timestamptz,
 validity_days integer, payload json) PARTITION BY RANGE (id);
CREATE TABLE licenses_a PARTITION OF licenses FOR VALUES FROM (MINVALUE) TO ('8');
CREATE TABLE licenses_b PARTITION OF licenses FOR VALUES FROM ('8') TO (MAXVALUE);"""


def parted(world):
    builders.legacy_tables(world)
    with world.legacy() as c:
        for s in PARTS.split(";"):
            if s.strip():
                c.execute(s)
    made = builders.tenant(world)
    for first in "0123abcd":
        builders.licence(world, made, id=first + str(uuid.uuid4())[1:])
    run = builders.migrated(world, capture=True)
    assert run.state == "completed"
    return made, run


def test_rows_written_on_a_leaf_arrive(world):
    _, run = parted(world)
    legacy(world, "UPDATE licenses_a SET validity_days = 7")
    legacy(world, "DELETE FROM licenses_b")
    caught_up(run)
    assert iam(world, "SELECT count(*), min(validity_days) FROM licenses") == [(4, 7)]


def test_a_leaf_that_is_truncated_is_noticed(world):
    _, run = parted(world)
    legacy(world, "TRUNCATE licenses_a")
    caught_up(run)
    assert iam(world, "SELECT count(*) FROM licenses") == [(4,)]


@pytest.mark.parametrize("how", ["detach", "drop", "attach"])
def test_a_leaf_that_comes_or_goes_is_noticed(world, how):
    parted(world)
    if how == "detach":
        legacy(world, "ALTER TABLE licenses DETACH PARTITION licenses_a")
    elif how == "drop":
        legacy(world, "DROP TABLE licenses_a")
    else:
        legacy(world, "ALTER TABLE licenses DETACH PARTITION licenses_a")
        legacy(world, "UPDATE licenses_a SET validity_days = 99")
        legacy(world, "ALTER TABLE licenses ATTACH PARTITION licenses_a FOR VALUES FROM (MINVALUE) TO ('8')")
    both_loops()
    error = FlowStatus.objects.get(pk="forward").error
    want = legacy(world, "SELECT count(*), coalesce(sum(validity_days),0) FROM licenses")
    got = iam(world, "SELECT count(*), coalesce(sum(validity_days),0) FROM licenses")
    print(want, got, error)
    assert want == got or error


def test_capture_goes_from_partitions_too(world):
    _, run = parted(world)
    with open_transfer(run, "test") as transfer:
        capture.remove(transfer.queue, "public")
    assert legacy(world, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]


def test_a_child_by_inheritance_is_refused(world):
    builders.legacy_tables(world)
    made = builders.tenant(world)
    legacy(world, "CREATE TABLE licenses_old () INHERITS (licenses)")
    legacy(
        world,
        "INSERT INTO licenses_old (id, license_key, tenant_id, payload) VALUES (%s, 'OLD', %s, '{}')",
        str(uuid.uuid4()),
        made,
    )
    run = start(by="tester", capture=True)
    work(run.pk)
    failed = Chunk.objects.get(run=run.key, step="capture")
    assert "Tables inherit from it (licenses_old)" in failed.error


def test_an_upgrade_whose_guard_had_to_wait_is_completed(world, home, monkeypatch):
    monkeypatch.setattr(capture, "_ATTEMPTS", 1)
    guard.switch(on=True, by="tester")
    # As version 0.1 left it: no guard against TRUNCATE, no comment.
    for t in ("users", "tenants", "licenses", "tenant_settings"):
        legacy(world, f"DROP TRIGGER portal_guard_truncate ON {t}")
    legacy(world, "COMMENT ON SCHEMA portal_capture IS NULL")
    with world.legacy() as w, w.transaction():
        w.execute("UPDATE users SET bio = 'long' WHERE false")
        follow("forward", seconds=0.3)
    print(FlowStatus.objects.get(pk="forward").error)
    both_loops()
    assert legacy(world, "SELECT count(*) FROM pg_trigger WHERE tgname = 'portal_guard_truncate'") == [(4,)]


def test_a_deleted_user_that_was_still_referenced_goes_after_all(world, home):
    bob = legacy(world, "SELECT id FROM users WHERE username = 'bob'")[0][0]
    iam(world, "INSERT INTO user_sessions (user_id, session_id, expires_at) VALUES (%s, 's1', now())", bob)
    legacy(world, "DELETE FROM users WHERE username = 'bob'")
    for _ in range(8):
        both_loops()
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
    print(legacy(world, "SELECT table_name, key, attempts, error FROM portal_capture.queue"))
    rows = list(QuarantinedRow.objects.all())
    print([(r.table_name, r.source_key, r.reason, r.state, r.tenant) for r in rows])
    iam(world, "DELETE FROM user_sessions")
    try:
        retry_rows(rows, by="tester")
    except Refusal as refusal:
        print(refusal)
    both_loops()
    assert iam(world, "SELECT username FROM users ORDER BY 1") == [("ann",)]
