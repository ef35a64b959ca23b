"""Which tests run a line: from coverage.py's dynamic contexts (https://coverage.readthedocs.io/en/latest/contexts.html)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

from tests.seams.faults import ROOT
from tests.seams.planting import Broken

_SETTINGS = """
[run]
dynamic_context = test_function
data_file = {data}
source = flags,iam,legacy_compat,migration_portal
"""


@dataclass(frozen=True)
class Reach:
    """What one run of a room's tests has run, in their own process."""

    runs: dict[str, dict[int, list[str]]]
    """File → line → the tests, as coverage.py names them."""

    @classmethod
    def measured(cls, tests: Iterable[str], copy: Path) -> Reach:
        """Raises Broken unless the tests pass as they are."""
        settings, data = copy / ".reach.ini", copy / ".reach.data"
        settings.write_text(_SETTINGS.format(data=data), encoding="utf-8")
        command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest", "-x", "-q", *tests]
        said = subprocess.run(
            [*command, "-p", "no:cacheprovider", "--no-header"], cwd=copy, capture_output=True, text=True, check=False
        )
        if said.returncode:
            raise Broken(f"Without any fault the tests end with {said.returncode}: {said.stdout[-1500:]}")
        found = CoverageData(str(data))
        found.read()
        return cls(
            {str(Path(file).relative_to(copy)): found.contexts_by_lineno(file) for file in found.measured_files()}
        )

    def tests(self, file: str, line: int) -> list[str]:
        """As pytest names them, without parameters; none when no test runs the line by itself, as at import."""
        return sorted(set(filter(None, map(_named, self._contexts(file, line)))))

    def elsewhere(self, file: str, line: int) -> bool:
        """Whether it was run by nobody who can be named, too: in a thread that serves requests, whose test is unknown."""
        return "" in self._contexts(file, line)

    def _contexts(self, file: str, line: int) -> set[str]:
        runs = self.runs.get(file, {})
        begins = _statement((ROOT / file).read_text(encoding="utf-8"), line)
        return {each for at in range(begins, line + 1) for each in runs.get(at, ())}


def _named(context: str) -> str:
    module, _, function = context.rpartition(".")
    place = f"{module.replace('.', '/')}.py"
    return f"{place}::{function}" if (ROOT / place).exists() else ""


def _statement(text: str, line: int) -> int:
    """Where the innermost statement begins that holds the line."""
    held = [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(held, default=line)
