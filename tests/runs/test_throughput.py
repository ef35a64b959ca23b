from hypothesis import given
from hypothesis import strategies as st

from migration_portal.runs.throughput import HEIGHT, WIDTH, draw


def test_no_chunks_no_chart() -> None:
    assert draw([]) is None


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 10**7)), min_size=1, max_size=50))
def test_every_point_lies_inside_the_box(series: list[tuple[int, int]]) -> None:
    drawn = draw(series)
    assert drawn is not None
    for point in drawn.line[1:].split(" L"):
        x, y = map(float, point.split(","))
        assert -0.1 <= x <= WIDTH + 0.1
        assert 0 <= y <= HEIGHT + 0.1
