"""`make test` tries a seeded sample of what is enumerated, `make endure` all of it."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
ALL = os.environ.get("PORTAL_TEST_CASES") == "all"


def some(cases: Sequence[T], count: int, seed: str) -> list[T]:
    """That many of the cases, in their order, always the same ones for the seed; under `make endure` all of them."""
    if ALL:
        return list(cases)
    chosen = random.Random(seed).sample(range(len(cases)), min(count, len(cases)))
    return [cases[at] for at in sorted(chosen)]
