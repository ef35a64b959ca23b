"""Plant random slips, and print by room how many its own tests notice.

`python -m tests.seams.mutate [--mutants 40] [--seed 1] [--at-once 2] [room …]`. The operators are cosmic-ray's. A mutant is
judged by the tests that run its line in their own process; one that none runs so, or that a thread runs, too, by all of the
room's. A mutant that nobody can notice is explained in explained.toml, and not counted. Exits with 1 when a room's score is
under 90 %.
"""

from __future__ import annotations

import argparse
import difflib
import random
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests.seams.faults import ROOT
from tests.seams.planting import Broken, Verdict, in_copies, noticed
from tests.seams.reach import Reach

WANTED = 0.9
_OPERATORS = (
    "AddNot", "ExceptionReplacer", "NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop",
    "ReplaceUnaryOperator_Delete_Not", "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_Div", "ReplaceBinaryOperator_Div_Mul", "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_NotEq_Eq", "ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_GtE_Gt", "ReplaceComparisonOperator_Lt_Gt",
    "ReplaceComparisonOperator_Gt_Lt", "ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is",
)  # fmt: skip
"""Those whose mutants run: many others only make a module that cannot be imported, which any test notices."""
_TUNING = re.compile(r"_?[A-Z][A-Z_, ]+(: \w+)? = [^(]*$|.*models\.\w+Field\(|assert |@dataclass|.*\[(:|-)\d+:?\]")
"""Lines that are no behaviour: numbers that were measured, lengths of columns, what mypy is told, how much is shown, classes that
need not be frozen."""


@dataclass(frozen=True)
class Room:
    """Its modules, without those under `but`, and its own tests."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    but: str = "nothing"

    def files(self) -> list[Path]:
        found = sorted(path for each in self.modules for path in (ROOT / each).rglob("*.py"))
        return [path for path in found if self.but not in str(path) and "/migrations/" not in str(path)]


ROOMS = {
    "engine": Room(
        ("migration_portal/engine",),
        (
            "tests/engine",
            "tests/runs/test_undo.py",
            "tests/cutover/test_guard.py",
            "tests/journeys/test_numbers.py",
            "tests/inventory/test_broken_plans.py",
        ),
        but="engine/catchup",
    ),
    "catchup": Room(
        ("migration_portal/engine/catchup", "migration_portal/catchup"),
        (
            "tests/engine/catchup",
            "tests/catchup",
            "tests/attack",
            "tests/cutover/test_resolve.py",
            "tests/journeys/test_one_into_many.py",
        ),
    ),
    "cutover": Room(("migration_portal/cutover",), ("tests/cutover", "tests/attack", "tests/runs/test_ownership.py")),
    "flags": Room(("flags", "migration_portal/features"), ("tests/flags", "tests/features")),
    "iam": Room(
        ("iam",),
        ("tests/iam", "tests/notices", "tests/legacy_compat/test_routing.py", "tests/legacy_compat/test_serve.py"),
    ),
    "legacy_compat": Room(("legacy_compat",), ("tests/legacy_compat", "tests/monitoring/test_histograms.py")),
}


@dataclass(frozen=True)
class Mutant:
    """One slip: `planted` is the whole file's text, `was` and `now` the line that differs."""

    room: str
    file: str
    line: int
    operator: str
    planted: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.was} → {self.now}"


def mutants(name: str, count: int, seed: int) -> list[Mutant]:
    """A sample of the room's mutants: the same for the same seed and code."""
    places = [place for path in ROOMS[name].files() for place in _places(path)]
    made: list[Mutant] = []
    for path, operator, occurrence in random.Random(seed).sample(places, len(places)):
        text = path.read_text(encoding="utf-8")
        try:
            planted = mutate_code(text, get_operator(operator)(), occurrence)
        except AttributeError:  # cosmic-ray's ExceptionReplacer cannot replace a dotted name
            continue
        number, was, now = _changed(text, planted or "")
        of_a_signature = now == was.replace("*, ", "/, ")  # who calls by name calls it as before
        if planted and was and not _TUNING.match(was) and not of_a_signature and _runs(planted):
            made.append(Mutant(name, str(path.relative_to(ROOT)), number, operator, planted, was, now))
        if len(made) == count:
            break
    return made


def _places(path: Path) -> Iterator[tuple[Path, str, int]]:
    tree = get_ast_from_path(path)
    for name in operator_names():
        if name.removeprefix("core/") in _OPERATORS:
            operator = get_operator(name)()
            count = sum(1 for node in ast_nodes(tree) for _ in operator.mutation_positions(node))
            yield from ((path, name, occurrence) for occurrence in range(count))


def _changed(text: str, planted: str) -> tuple[int, str, str]:
    """The number of the one line that differs, as it was and as it is; empty when several differ."""
    differ = [line for line in difflib.ndiff(text.splitlines(), planted.splitlines()) if line[0] != "?"]
    changed = [number for number, line in enumerate(differ) if line[0] in "-+"]
    if len(changed) != 2:
        return 0, "", ""
    was, now = (differ[number][2:].strip() for number in changed)
    return changed[0] + 1, was, now


def _runs(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def judge(mutant: Mutant, copy: Path, reach: Reach) -> Verdict:
    tests = reach.tests(mutant.file, mutant.line)
    try:
        verdict = noticed(copy, mutant.file, mutant.planted, tests or ROOMS[mutant.room].tests)
        if verdict.by or not tests or not reach.elsewhere(mutant.file, mutant.line):
            return verdict
        return noticed(copy, mutant.file, mutant.planted, ROOMS[mutant.room].tests)
    except Broken:  # not even the settings can be read with it
        return Verdict("nothing runs", 0)


def explained() -> dict[tuple[str, str], str]:
    """(File, line as mutated) → why nobody can notice it."""
    described = tomllib.loads((Path(__file__).parent / "explained.toml").read_text(encoding="utf-8"))
    return {(each["file"], each["now"]): each["why"] for each in described.get("mutant", [])}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", choices=[[], *ROOMS])
    parser.add_argument("--mutants", type=int, default=40, help="how many a room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2, help="how many are judged side by side")
    asked = parser.parse_args()
    return 1 if min([score(room, asked) for room in asked.rooms or ROOMS]) < WANTED else 0


def score(room: str, asked: argparse.Namespace) -> float:
    """Print each verdict as it comes, and what share was noticed; 0 when the tests fail without any mutant."""
    reasons, chosen = explained(), mutants(room, asked.mutants, asked.seed)
    counted = [mutant for mutant in chosen if (mutant.file, mutant.now) not in reasons]
    try:
        [(_, reach)] = in_copies(Reach.measured, [ROOMS[room].tests], at_once=1)
    except Broken as broken:
        print(f"{room}: {broken}", flush=True)
        return 0
    killed = 0
    for mutant, verdict in in_copies(partial(judge, reach=reach), counted, at_once=asked.at_once):
        killed += bool(verdict.by)
        print(f"{verdict.seconds:5.0f} s  {verdict.by or 'SURVIVED'}: {mutant}", flush=True)
    share = killed / max(len(counted), 1)
    print(
        f"{room}: {killed} of {len(counted)} noticed, {share:.0%} ({len(chosen) - len(counted)} explained)", flush=True
    )
    return share


if __name__ == "__main__":
    sys.exit(main())
