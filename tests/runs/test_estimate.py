"""The estimate of the time left: of what is measured, in the order of how sure it is."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from migration_portal.runs.estimate import Estimate, TimeLeft, Work, estimate

COPY = Work("copy", "users", chunks=10, done=5, planned=1000, planned_done=500, seconds=50)
DONE = replace(COPY, done=10, planned_done=1000, seconds=100)
VERIFIED = Work("verify", "users", chunks=4, done=4, seconds=20)
OF_A_RUN = [("copy", "users"), ("verify", "users")]


def by_key(works: list[Work]) -> dict[tuple[str, str], Work]:
    return {(work.kind, work.table): work for work in works}


def left(
    steps: list[tuple[str, str]], now: list[Work], before: list[Work] | None = None, at_once: float = 1
) -> TimeLeft:
    found = estimate(steps, by_key(now), by_key(before or []), at_once).left
    assert found is not None
    return found


def test_nothing_measured_is_not_guessed() -> None:
    assert estimate(OF_A_RUN, by_key([replace(COPY, done=0, planned_done=0, seconds=0)]), {}, 1) == Estimate(0.0, None)


def test_what_is_left_of_a_step_costs_what_the_rest_did() -> None:
    assert left([("copy", "users")], [COPY]).likely == 50


def test_the_work_is_shared_by_as_many_as_were_at_work() -> None:
    assert left([("copy", "users")], [COPY], at_once=2).likely == 25


def test_what_is_at_work_is_not_counted_twice() -> None:
    assert left([("copy", "users")], [replace(COPY, running=20)]).likely == 30


def test_a_step_that_has_not_begun_costs_what_it_cost_in_an_earlier_run() -> None:
    assert left(OF_A_RUN, [DONE], [DONE, VERIFIED]).likely == 20


def test_of_as_many_rows_as_there_are_now() -> None:
    more = replace(DONE, planned=2000, planned_done=2000, seconds=200)
    assert left(OF_A_RUN, [more], [DONE, VERIFIED]).likely == 40


def test_and_at_the_speed_of_now() -> None:
    assert left(OF_A_RUN, [replace(DONE, seconds=300)], [DONE, VERIFIED]).likely == 60


def test_without_an_earlier_run_it_costs_what_it_costs_beside_the_copies_of_other_tables() -> None:
    others = [replace(DONE, table="tenants", seconds=10), replace(VERIFIED, table="tenants", seconds=5)]
    assert left([("verify", "users")], [DONE, *others]).likely == 50


def test_a_table_that_is_not_copied_yet_takes_as_long_a_row_as_others() -> None:
    waiting = Work("copy", "licences", chunks=2, planned=500)
    assert left([("copy", "licences")], [DONE, waiting]).likely == 50


def test_the_less_is_measured_the_wider_is_the_range() -> None:
    measured, guessed = left([("copy", "users")], [COPY]), left([("verify", "users")], [DONE])
    assert measured.most - measured.least < 0.4 * measured.likely
    assert guessed.most - guessed.least > guessed.likely


def test_a_wide_range_is_said_as_one() -> None:
    assert str(TimeLeft(60, 55, 65)) == "about 1 min 0 s left"
    assert str(TimeLeft(100, 40, 160)) == "40 s to 2 min 40 s left"


def test_all_done_is_whole() -> None:
    assert estimate(OF_A_RUN, by_key([DONE, VERIFIED]), {}, 1) == Estimate(1.0, TimeLeft(0, 0, 0))


@given(st.floats(0.1, 100), st.lists(st.floats(0.5, 2), min_size=10, max_size=10))
def test_over_a_step_whose_chunks_are_alike_it_is_never_far_off(mean: float, spread: list[float]) -> None:
    took = [mean * each for each in spread]
    for done in range(1, 10):
        spent = sum(took[:done])
        work = replace(COPY, done=done, planned_done=100 * done, seconds=spent)
        found = left([("copy", "users")], [work])
        assert found.least - 1 <= found.likely <= found.most + 1
        assert abs(found.likely - spent / done * (10 - done)) <= 1
