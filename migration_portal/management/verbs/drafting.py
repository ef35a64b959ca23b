"""A first plan, from a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from migration_portal.drafting.draft import Drafted, draft_now
from migration_portal.inventory.preflight import preflight
from migration_portal.management.terminal import Terminal, with_plan
from migration_portal.refusal import Refusal


def arguments(verbs: Any) -> None:
    drafting = verbs.add_parser("draft_plan", help="write a first plan from what both databases show")
    drafting.add_argument("output", type=Path, help="the plan file to write")
    drafting.add_argument("--name", help="of the plan; else the file's")
    drafting.add_argument("--source-schema", default="public", help="of legacy's tables")
    drafting.add_argument("--replace", action="store_true", help="write over a file that is there")
    drafting.add_argument("--json", action="store_true")


def draft_plan(out: Terminal, by: str, options: dict[str, Any]) -> None:
    path: Path = options["output"]
    if path.exists() and not options["replace"]:
        raise Refusal("It is there already.", subject=str(path), todo="Name another file, or add --replace.")
    drafted = draft_now(options["name"] or path.stem, source_schema=options["source_schema"])
    try:
        path.write_text(drafted.text, encoding="utf-8")
    except OSError as error:
        raise Refusal(
            f"It cannot be written ({error.strerror}).", subject=str(path), todo="Name another file."
        ) from error
    left = [each for each in preflight(path)["findings"] if each["severity"] != "info"]
    content = {
        "plan": str(path),
        "tables": [
            {
                "source": table.source, "target": table.target, "certainty": round(table.certainty, 2),
                "unsure": [line.name for line in table.unsure], "unmapped": table.unmapped,
            }
            for table in drafted.draft.tables
        ],
        "left": drafted.draft.left,
        "findings": left,
    }  # fmt: skip
    steps = [
        f"Read {path}: decide the lines that say LOOK, and what is mapped nowhere.",
        with_plan("preflight", str(path)),
        with_plan("start --dry-run --wait", str(path)),
    ]
    out.answer(content, [*_lines(drafted, left), "", "Next:", *(f"  {step}" for step in steps)], next_steps=steps)


def _lines(drafted: Drafted, left: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{'legacy table':<28} {'IAM table':<24} {'sure':>5}  {'columns':>7}  {'look at':>7}  mapped nowhere"
    for table in drafted.draft.tables:
        columns = len(table.lines) + len(table.defaults)
        unmapped = ", ".join(table.unmapped) or "—"
        yield (
            f"{table.source:<28} {table.target:<24} {table.certainty:>5.0%}  {columns:>7}  {len(table.unsure):>7}  {unmapped}"
        )  # fmt: skip
    for source, why in drafted.draft.left.items():
        yield f"{source:<28} stays behind: {why}"
    yield ""
    yield f"Pre-flight of it: {sum(each['severity'] == 'error' for each in left)} errors, {len(left)} findings in all."
    for each in left:
        if each["severity"] == "error":
            yield f"  {each['subject']}: {each['what']} {each['todo']}"


VERBS = {"draft_plan": draft_plan}
