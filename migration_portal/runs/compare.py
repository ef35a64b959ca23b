"""Two runs side by side: what each did with each table, and the difference. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from migration_portal.runs.report import Report, TableReport

_NOISE = 5
"""Seconds."""


@dataclass(frozen=True)
class Beside:
    """A figure of both runs; None where one has none. `better`: whether more of it is good (1), bad (-1) or neither (0)."""

    name: str
    unit: str
    before: float | None
    after: float | None
    better: int = 0

    @property
    def change(self) -> float | None:
        """As a fraction of what it was; None where that says nothing."""
        if self.before is None or self.after is None or not self.before:
            return None
        return (self.after - self.before) / self.before

    @property
    def verdict(self) -> str:
        """ok, warning or empty, as a badge has it; a twentieth up or down is noise, and so are five seconds."""
        if self.before is None or self.after is None or not self.better:
            return ""
        by = abs(self.after - self.before)
        if by * 20 <= abs(self.before) or (self.unit == "s" and by < _NOISE):
            return ""
        return "ok" if (self.after > self.before) == (self.better > 0) else "warning"


def compare(before: Report, after: Report) -> dict[str, list[Beside]]:
    """By table, and of the whole run first, under an empty name."""
    found = {"": [Beside("Time", "s", before.seconds, after.seconds, -1)]}
    for name in dict.fromkeys([*before.tables, *after.tables]):
        found[name] = list(_table(before.tables.get(name), after.tables.get(name)))
    return found


def _table(before: TableReport | None, after: TableReport | None) -> Iterator[Beside]:
    figures = (
        ("Source", "rows", "source", 0), ("Copied", "rows", "copied", 0), ("Quarantined", "rows", "quarantined", -1),
        ("Wrong", "rows", "mismatched", -1), ("Time", "s", "seconds", -1), ("Speed", "rows/s", "rows_per_second", 0),
    )  # fmt: skip
    for title, unit, name, better in figures:
        old, new = (getattr(each, name) if each else None for each in (before, after))
        yield Beside(title, unit, old, new, better)
    reasons = [each.reasons if each else {} for each in (before, after)]
    for reason in sorted(set().union(*reasons)):
        old, new = (each.get(reason, 0) for each in reasons)
        yield Beside(reason.replace("_", " "), "rows in quarantine", old, new, -1)
