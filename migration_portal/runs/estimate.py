"""How long what a run does now still takes: one estimate over all its steps, those that are not cut into chunks yet included.

A step's cost is the time of workers that its chunks take together. It is known from its own chunks that are done; else from
earlier runs of the plan; else from what it costs elsewhere beside the copy of the same table. What is left is shared by as
many workers as were at work on average. Nothing is remembered between two estimates: each is made of everything measured so
far, so that it settles by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BESIDE_A_COPY = {
    "index": 0.25, "constraint": 0.08, "analyze": 0.12, "verify": 0.33, "compare": 0.01,
    "undo": 0.3, "conclude": 0.03, "put_back": 0.02, "rebuild_index": 0.25, "restore_constraint": 0.08,
}  # fmt: skip
"""What a step of each kind costs in units of the table's copy, where nothing has been measured: by `make bench`."""
_BESIDE_ALL_COPIES = {"grant": 0.33, "check": 0.12}
"""The same for steps that a run has once, in units of all copies."""
_ENOUGH = 0.01
"""Of all rows that a run plans: what fewer rows took says nothing of the others."""
_OWN, _EARLIER, _ELSEWHERE, _UNMEASURED = 0.1, 0.2, 0.35, 0.6
"""By how much, as a share, a cost may be wrong that is known in each way."""
_HARDLY = 0.05
"""Of a step whose chunks have taken longer than all of it should have, this share is left at least."""


@dataclass(frozen=True)
class Work:
    """A step: how many chunks it has, how many rows they plan, and the seconds of those done and of those at work."""

    kind: str
    table: str
    chunks: int = 0
    done: int = 0
    planned: int = 0
    planned_done: int = 0
    seconds: float = 0.0
    running: float = 0.0

    @property
    def share(self) -> float:
        """Of the step that is done: by rows where they are planned, else by chunks."""
        if self.planned:
            return self.planned_done / self.planned
        return self.done / self.chunks if self.chunks else 0.0


Key = tuple[str, str]
"""A step's kind and table."""
Works = Mapping[Key, Work]


@dataclass(frozen=True)
class TimeLeft:
    """In seconds: most likely, and between what."""

    likely: int
    least: int
    most: int

    def __str__(self) -> str:
        if self.most - self.least <= max(10, 0.3 * self.likely):
            return f"about {duration(self.likely)} left"
        return f"{duration(self.least)} to {duration(self.most)} left"


@dataclass(frozen=True)
class Estimate:
    """`fraction` of the work that is done, and the time left; None where nothing is measured."""

    fraction: float
    left: TimeLeft | None


def estimate(steps: Sequence[Key], now: Works, before: Works, at_once: float) -> Estimate:
    """Of all the `steps` that a run does now, by what of them is measured, `now` and `before`.

    `at_once` is how many workers were at work on average.
    """
    known = _Known(now, before)
    spent = left = unsure = 0.0
    for kind, table in steps:
        work = known.now.get((kind, table), Work(kind, table))
        found = known.cost(kind, table)
        if found is None:
            return Estimate(0.0, None)
        cost, error = found
        rest = max(cost - work.seconds, 0.0) if work.share < 1 else 0.0
        rest = max(rest - work.running, _HARDLY * rest)
        spent, left, unsure = spent + work.seconds + work.running, left + rest, unsure + rest * error
    times = TimeLeft(*(round(max(each, 0.0) / max(at_once, 0.1)) for each in (left, left - unsure, left + unsure)))
    return Estimate(spent / (spent + left) if spent + left else 1.0, times)


class _Known:
    """What is measured of this run and of earlier ones."""

    def __init__(self, now: Works, before: Works) -> None:
        self.now = now
        self.before = {key: work for key, work in before.items() if work.share == 1}
        self.rows = {work.table: work.planned for works in (before, now) for work in works.values() if work.planned}
        both = [key for key, work in now.items() if key in self.before and work.share == 1]
        then = sum(self.then(key) for key in both)
        self.tempo = sum(now[key].seconds for key in both) / then if then else 1.0

    def then(self, key: Key) -> float:
        """What an earlier run says that the step takes, for as many rows as there are now."""
        table = key[1]
        copy = self.before.get(("copy", table))
        return self.before[key].seconds * (self.rows[table] / copy.planned if copy and copy.planned else 1.0)

    def cost(self, kind: str, table: str) -> tuple[float, float] | None:
        """Seconds of workers, and by which share they may be wrong; None where nothing says."""
        work = self.now.get((kind, table))
        if work and work.share:
            return work.seconds / work.share, _OWN + (1 - work.share) * _OWN
        if (kind, table) in self.before:
            return self.then((kind, table)) * self.tempo, _EARLIER
        if kind == "copy":
            return self.copied_like_others(table)
        if kind in _BESIDE_ALL_COPIES:
            copies = [self.cost("copy", of) for its_kind, of in self.now if its_kind == "copy"]
            whole = sum(each[0] for each in copies if each)
            return (whole * _BESIDE_ALL_COPIES[kind], _UNMEASURED) if whole and None not in copies else None
        if kind not in _BESIDE_A_COPY:
            return 0.0, 0.0
        copy = self.cost("copy", table)
        if copy is None:
            return None
        seconds = beside = 0.0
        for (other, its_table), done in self.now.items():
            if other == kind and done.share and (its_copy := self.now.get(("copy", its_table))):
                seconds, beside = seconds + done.seconds / done.share, beside + its_copy.seconds
        if beside:
            return copy[0] * seconds / beside, _ELSEWHERE
        return copy[0] * _BESIDE_A_COPY[kind], _UNMEASURED

    def copied_like_others(self, table: str) -> tuple[float, float] | None:
        copies = [work for (kind, _), work in self.now.items() if kind == "copy"]
        done = sum(work.planned_done for work in copies)
        if done < max(_ENOUGH * sum(work.planned for work in copies), 1):
            return None
        a_row = sum(work.seconds for work in copies) / done
        return self.rows.get(table, 0) * a_row, _ELSEWHERE


def duration(seconds: int) -> str:
    """3725 -> 1 h 2 min."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
