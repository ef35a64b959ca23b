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
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".portal", "__pycache__", ".*_cache")
_MOST_SECONDS = 600
_FAILED = 1
"""pytest's exit code when tests ran and some failed."""


class Broken(Exception):
    """The tests did not run, or fail without a fault: they say nothing."""


@dataclass(frozen=True)
class Verdict:
    """`by` is the first test that failed; empty when none noticed."""

    by: str
    seconds: float


def noticed(copy: Path, file: str, planted: str, tests: Iterable[str]) -> Verdict:
    """Let `planted` stand in `file` for as long as the tests take. Raises Broken."""
    place = copy / file
    text = place.read_text(encoding="utf-8")
    place.write_text(planted, encoding="utf-8")
    try:
        return _run(copy, tests)
    finally:
        place.write_text(text, encoding="utf-8")


def must_pass(tests: Iterable[str], copy: Path) -> None:
    """Raises Broken unless the tests pass as they are."""
    if (verdict := _run(copy, tests)).by:
        raise Broken(f"Without any fault, {verdict.by} fails.")


def _run(copy: Path, tests: Iterable[str]) -> Verdict:
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
    try:
        said = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Verdict(f"nothing ends within {_MOST_SECONDS} s", time.monotonic() - began)
    if said.returncode not in (0, _FAILED):
        raise Broken(f"pytest {' '.join(tests)} ends with {said.returncode}: {said.stdout[-500:]}{said.stderr[-500:]}")
    lines = [line for line in said.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    failed = [line.split()[1] for line in lines if "::" in line]  # a log has lines like these, too
    by = failed[0].split("::", 1)[-1] if failed else "pytest" if said.returncode else ""
    return Verdict(by, time.monotonic() - began)


def in_copies(work: Callable[[T, Path], R], items: Iterable[T], at_once: int = 2) -> Iterator[tuple[T, R]]:
    """Do the work for each item in a copy of the project that nobody else uses meanwhile; as they end."""
    with _copies(at_once) as copies, ThreadPoolExecutor(at_once) as pool:

        def one(item: T) -> tuple[T, R]:
            copy = copies.get()
            try:
                return item, work(item, copy)
            finally:
                copies.put(copy)

        for ended in as_completed([pool.submit(one, item) for item in items]):
            yield ended.result()


@contextmanager
def _copies(count: int) -> Iterator[queue.Queue[Path]]:
    with tempfile.TemporaryDirectory(prefix="seams-") as place:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(count):
            copies.put(shutil.copytree(ROOT, Path(place) / str(number), ignore=_LEFT_OUT))
        yield copies
