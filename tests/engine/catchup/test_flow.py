"""When an entry is from before its tenant left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Batch, Departure, Entry, Flow, visible
from migration_portal.runs.connections import open_transfer
from tests import builders
from tests.engine.changes import iam
from tests.world import World


@given(
    first=st.integers(1, 50), more=st.integers(0, 50), open_ones=st.sets(st.integers(1, 120), max_size=5),
    xid=st.integers(1, 120),
)  # fmt: skip
def test_a_transaction_is_visible_if_it_is_old_and_not_open(
    first: int, more: int, open_ones: set[int], xid: int
) -> None:
    end = first + more
    listed = sorted(n for n in open_ones if first <= n < end)
    snapshot = f"{first}:{end}:{','.join(map(str, listed))}"
    assert visible(xid, snapshot) == (xid < end and xid not in listed)


def test_an_entry_or_a_flip_of_version_0_1_is_judged_by_its_id() -> None:
    assert Departure(7).follows(Entry(7, "users", ["a"], xid=5))
    assert Departure(7, "4:4:").follows(Entry(7, "users", ["a"]))
    assert not Departure(7, "4:4:").follows(Entry(7, "users", ["a"], xid=5))


def test_a_write_that_was_open_when_its_tenant_left_is_a_stray_though_its_entry_is_old(world: World, home: str) -> None:
    user = builders.user(world, home, full_name="Ann")
    run = builders.migrated(world, capture=True)
    with world.legacy() as writer, world.legacy() as other, writer.transaction():
        writer.execute("UPDATE users SET full_name = 'Open' WHERE id = %s", [user])
        last = other.execute("SELECT last_value FROM portal_capture.queue_id_seq").fetchone()[0]
        snapshot = other.execute("SELECT pg_current_snapshot()::text").fetchone()[0]
    with open_transfer(run, "test") as transfer:
        left = {home: (last, snapshot)}
        flow = Flow("forward", transfer, transfer.queue, transfer.target, lambda: frozenset([home]), left=lambda: left)
        assert batches.drain(flow).strays == 1
    assert iam(world, "SELECT full_name FROM users") == [("Ann",)]


def test_batches_add_up_with_all_they_touched() -> None:
    one = Batch(entries=1, touched={"users": [("a",)]}, unsettled={("users", ("a",)): ("users", "why", "")})
    one.add(
        Batch(
            entries=2,
            strays=1,
            touched={"users": [("b",)], "tenants": [("t",)]},
            unsettled={("users", ("b",)): ("users", "why", "")},
        )
    )
    assert (one.entries, one.strays) == (3, 1)
    assert one.touched == {"users": [("a",), ("b",)], "tenants": [("t",)]}
    assert list(one.unsettled) == [("users", ("a",)), ("users", ("b",))]
