"""The picture of a copy's chunks, at ten and at ten thousand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migration_portal.runs.chunk_map import MOST, Chunked, chunk_map

STATES = st.sampled_from(["pending", "claimed", "done", "failed"])


def chunks(*states: str, table: str = "users", quarantined: int = 0) -> list[Chunked]:
    return [(table, ordinal, state, quarantined) for ordinal, state in enumerate(states)]


def test_few_chunks_have_a_square_each() -> None:
    [users] = chunk_map(chunks("done", "claimed", "pending"))
    assert [str(square) for square in users.squares] == ["chunk 0: done", "chunk 1: claimed", "chunk 2: pending"]
    assert [square.state for square in users.squares] == ["done", "claimed", "pending"]
    assert (users.chunks, users.each, users.done) == (3, 1, 1)


def test_a_square_of_many_says_what_matters_most_of_them() -> None:
    [users] = chunk_map(chunks(*["done"] * 5000, *["pending"] * 4999, "failed", quarantined=1))
    assert len(users.squares) <= MOST and users.each == 42
    assert (users.squares[0].state, users.squares[-1].state) == ("done", "failed")
    between = users.squares[5000 // 42]
    assert between.state == "part" and str(between).startswith("chunks 4998 to 5039: 2 done, 40 pending, 42 rows")


def test_each_table_has_a_map_of_its_own() -> None:
    maps = chunk_map([*chunks("done"), *chunks("pending", table="licenses")])
    assert [(each.table, each.done) for each in maps] == [("users", 1), ("licenses", 0)]


@given(st.lists(STATES, min_size=1, max_size=3 * MOST))
def test_no_chunk_is_left_out(states: list[str]) -> None:
    [found] = chunk_map(chunks(*states))
    assert [state for square in found.squares for state in square.states] == states
    assert len(found.squares) <= MOST
    assert ("failed" in states) == any(square.state == "failed" for square in found.squares)
