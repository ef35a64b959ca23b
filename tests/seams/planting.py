"""Planting a fault in a copy of the project, and asking tests whether they notice it."""

from __future__ import annotations

import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.seams.faults import ROOT

T = TypeVar("T")
R = TypeVar("R")
_COPIES = 2
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".portal", "__pycache__", ".*_cache")
_MOST_SECONDS = 900
_FAILED = 1
"""pytest's exit code when tests ran and some failed."""


@dataclass(frozen=True)
class Verdict:
    """`by` is the first test that failed, or why none could run; empty when none noticed."""

    by: str
    seconds: float


def noticed(copy: Path, file: str, planted: str, tests: Iterable[str]) -> Verdict:
    """Let `planted` stand in `file` for as long as the tests take."""
    place, began = copy / file, time.monotonic()
    text = place.read_text(encoding="utf-8")
    place.write_text(planted, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
    try:
        said = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Verdict("(they never end)", time.monotonic() - began)
    finally:
        place.write_text(text, encoding="utf-8")
    if said.returncode == 0:
        return Verdict("", time.monotonic() - began)
    if said.returncode != _FAILED:
        return Verdict(f"(nothing runs: {said.returncode})", time.monotonic() - began)
    failed = [line.split()[1] for line in said.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return Verdict(failed[0].split("::", 1)[-1] if failed else "(pytest failed)", time.monotonic() - began)


def in_copies(work: Callable[[T, Path], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Do the work for each item in a copy of the project that nobody else uses meanwhile; as they end."""
    with _copies() as copies, ThreadPoolExecutor(_COPIES) as pool:

        def one(item: T) -> tuple[T, R]:
            copy = copies.get()
            try:
                return item, work(item, copy)
            finally:
                copies.put(copy)

        for ended in as_completed([pool.submit(one, item) for item in items]):
            yield ended.result()


@contextmanager
def _copies() -> Iterator[queue.Queue[Path]]:
    with tempfile.TemporaryDirectory(prefix="seams-") as place:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(_COPIES):
            copies.put(shutil.copytree(ROOT, Path(place) / str(number), ignore=_LEFT_OUT))
        yield copies
