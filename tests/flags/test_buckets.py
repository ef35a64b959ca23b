"""Buckets: stable, independent between flags, monotonic."""

from decimal import Decimal

from hypothesis import given

from flags.buckets import BUCKETS, bucket, covered
from tests.flags.drawing import ids, percentages


@given(ids, percentages, percentages)
def test_widening_never_takes_a_subject_away(id: str, one: Decimal, other: Decimal) -> None:
    small, large = sorted((one, other))
    place = bucket("flag", "", "user", id)
    assert not covered(place, small) or covered(place, large)


@given(ids)
def test_nothing_covers_nobody_and_a_hundred_covers_everybody(id: str) -> None:
    place = bucket("flag", "", "user", id)
    assert 0 <= place < BUCKETS
    assert not covered(place, Decimal(0)) and covered(place, Decimal(100))


def test_buckets_are_spread_evenly() -> None:
    counts = [0] * 20
    for n in range(40_000):
        counts[bucket("flag", "", "user", f"user-{n}") * 20 // BUCKETS] += 1
    # Chi-squared with 19 degrees of freedom: above 43.8 once in a thousand; the ids are fixed, so this never wavers.
    assert sum((count - 2000) ** 2 / 2000 for count in counts) < 43.8


def test_two_flags_at_ten_per_cent_cover_different_people() -> None:
    people = [f"user-{n}" for n in range(20_000)]
    ten = Decimal(10)
    one, other = ({p for p in people if covered(bucket(name, "", "user", p), ten)} for name in ("one", "other"))
    assert 0.08 < len(one & other) / len(one) < 0.12


def test_a_percentage_covers_the_buckets_below_it() -> None:
    assert not covered(0, Decimal(0)) and covered(0, Decimal("0.001"))
    assert covered(9_999, Decimal(10)) and not covered(10_000, Decimal(10))
