"""The faults of faults.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Fault:
    """In `file`, `now` stands where `was` stood; some of `tests` must fail."""

    name: str
    file: str
    was: str
    now: str
    tests: list[str]

    def applied(self, text: str) -> str:
        """Raises ValueError when the seam is not there any more, or twice."""
        if text.count(self.was) != 1:
            raise ValueError(f"{self.name}: {self.file} holds it {text.count(self.was)} times")
        return text.replace(self.was, self.now)


def faults() -> list[Fault]:
    described = tomllib.loads((Path(__file__).parent / "faults.toml").read_text(encoding="utf-8"))
    return [Fault(**each) for each in described["fault"]]
