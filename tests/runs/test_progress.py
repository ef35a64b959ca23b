"""How far a table is: from its steps' chunks, weighted, and in words."""

from __future__ import annotations

from migration_portal.runs.progress import _shares, _table


def step(name: str, done: int, chunks: int) -> dict:
    return {"step": name, "done": done, "chunks": chunks, "table_name": "users"}


def test_nothing_done_is_waiting() -> None:
    table = _table("users", {}, _shares([], "users"))
    assert (table.fraction, table.stage) == (0.0, "waiting")


def test_all_steps_done_is_verified_and_whole() -> None:
    steps = [step(f"{kind}:users", 4, 4) for kind in ("copy", "index", "constraint", "analyze")]
    steps += [step("verify:users:1", 2, 2), step("compare:users:1", 1, 1)]
    table = _table("users", {}, _shares(steps, "users"))
    assert (round(table.fraction, 9), table.stage) == (1.0, "verified")


def test_the_words_follow_the_last_step_that_has_begun() -> None:
    steps = [step("copy:users", 4, 4), step("index:users", 1, 2)]
    assert _table("users", {}, _shares(steps, "users")).stage == "building"


def test_an_undo_counts_down() -> None:
    steps = [step("copy:users", 4, 4), step("undo:users:1", 1, 2)]
    table = _table("users", {}, _shares(steps, "users"))
    assert (table.fraction, table.stage) == (0.75, "undoing")
