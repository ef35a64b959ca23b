"""Charts of pages: figures by time, which portal.js hands to Chart.js."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

MOST_POINTS = 180


@dataclass(frozen=True)
class Line:
    """A figure for each label of its chart; None is a gap."""

    label: str
    data: Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """`id` names its place on the page; `labels` are moments, or seconds since a beginning. `whole` is what they say in full."""

    id: str
    title: str
    unit: str
    labels: Sequence[str]
    lines: Sequence[Line]
    whole: Sequence[str] = ()

    @property
    def most(self) -> float:
        """The largest figure, for who does not see the chart."""
        return max((value for line in self.lines for value in line.data if value is not None), default=0)

    @property
    def empty(self) -> bool:
        return all(value is None for line in self.lines for value in line.data)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def over_time(
    id: str, title: str, unit: str, times: Sequence[datetime], lines: Sequence[Line], *, form: str = "%H:%M"
) -> Chart:
    """A chart whose labels are in the reader's zone, and for who points at one in UTC, too, as logs have it."""
    local = [timezone.localtime(at) for at in times]
    utc = [f" · {at.astimezone(UTC):%H:%M:%S} UTC" if at.utcoffset() else "" for at in local]
    whole = [f"{at:%Y-%m-%d %H:%M:%S %Z}{there}" for at, there in zip(local, utc, strict=True)]
    return Chart(id, title, unit, [f"{at:{form}}" for at in local], lines, whole)


def rounded(value: float | None) -> float | None:
    """To a tenth; a gap stays one."""
    return None if value is None else round(value, 1)


def as_json(charts: Sequence[Chart | None]) -> list[dict[str, Any]]:
    """What the page's #charts holds."""
    return [chart.as_dict() for chart in charts if chart is not None]
