"""Plant the faults of faults.toml one by one, and print which of them the tests notice.

`python -m tests.seams [part of a name …]`. Exits with 1 when one goes unnoticed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.seams.faults import Fault, faults
from tests.seams.planting import Verdict, in_copies, must_pass, noticed


def plant(fault: Fault, copy: Path) -> Verdict:
    planted = fault.applied((copy / fault.file).read_text(encoding="utf-8"))
    return noticed(copy, fault.file, planted, fault.tests)


def main(wanted: list[str]) -> int:
    chosen = [fault for fault in faults() if not wanted or any(part in fault.name for part in wanted)]
    unnoticed = 0
    for _ in in_copies(must_pass, sorted({tuple(fault.tests) for fault in chosen})):
        pass
    for fault, verdict in in_copies(plant, chosen):
        unnoticed += not verdict.by
        print(f"{verdict.seconds:5.0f} s  {fault.name}: {verdict.by or 'UNNOTICED'}", flush=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} faults are noticed.")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
