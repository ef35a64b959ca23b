"""Plant the faults one by one, each in a copy of the project, and print which of them the tests notice.

`python -m tests.seams [part of a name …]`. Exits with 1 when one goes unnoticed.
"""

from __future__ import annotations

import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.seams.faults import ROOT, Fault, faults

_COPIES = 2
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".portal", "__pycache__", ".*_cache")
_MOST_SECONDS = 900
_FAILED = 1
"""pytest's exit code when tests ran and some failed."""


@dataclass(frozen=True)
class Verdict:
    """`by` is the first test that failed; empty when none did."""

    by: str
    seconds: float


def plant(fault: Fault, copy: Path) -> Verdict:
    """Run the fault's tests in a copy that has it. Raises RuntimeError when they did not run."""
    file, began = copy / fault.file, time.monotonic()
    text = file.read_text(encoding="utf-8")
    file.write_text(fault.applied(text), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *fault.tests]
    try:
        said = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Verdict("(they never end)", time.monotonic() - began)
    finally:
        file.write_text(text, encoding="utf-8")
    if said.returncode not in (0, _FAILED):
        raise RuntimeError(
            f"{fault.name}: pytest ended with {said.returncode}\n{said.stdout[-2000:]}{said.stderr[-500:]}"
        )
    failed = [line.split()[1] for line in said.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return Verdict(failed[0].split("::", 1)[-1] if failed else "", time.monotonic() - began)


def main(wanted: list[str]) -> int:
    chosen = [fault for fault in faults() if not wanted or any(part in fault.name for part in wanted)]
    unnoticed, printing = [], threading.Lock()
    with tempfile.TemporaryDirectory(prefix="seams-") as place, ThreadPoolExecutor(_COPIES) as pool:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(_COPIES):
            copies.put(shutil.copytree(ROOT, Path(place) / str(number), ignore=_LEFT_OUT))

        def judge(fault: Fault) -> None:
            copy = copies.get()
            try:
                verdict = plant(fault, copy)
            except RuntimeError as error:
                verdict = Verdict("", 0)
                print(error, file=sys.stderr)
            finally:
                copies.put(copy)
            with printing:
                if not verdict.by:
                    unnoticed.append(fault.name)
                print(f"{verdict.seconds:5.0f} s  {fault.name}: {verdict.by or 'UNNOTICED'}", flush=True)

        list(pool.map(judge, chosen))
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} faults are noticed.")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
