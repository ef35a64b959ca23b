from hypothesis import given
from hypothesis import strategies as st

from migration_portal.console.charts import MOST_POINTS
from migration_portal.runs.throughput import charted


def test_no_chunks_no_chart() -> None:
    assert charted([]) is None


def test_a_second_without_rows_is_none_that_was_quick() -> None:
    chart = charted([(0, 100), (2, 300)])
    assert chart is not None
    assert (list(chart.lines[0].data), list(chart.labels)) == ([100, 0, 300], ["0 s", "1 s", "2 s"])


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 10**7)), min_size=1, max_size=50))
def test_a_long_run_is_thinned_and_no_peak_grows(series: list[tuple[int, int]]) -> None:
    chart = charted(series)
    assert chart is not None
    data = [value for value in chart.lines[0].data if value is not None]
    assert len(chart.labels) == len(data) <= MOST_POINTS
    assert max(data) <= max(rows for _, rows in series)
