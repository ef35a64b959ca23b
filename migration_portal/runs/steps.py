"""Which steps a run has, and what each waits for. Pure: the order follows from the plan and from how tables are treated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migration_portal.plan.model import Catalog, Plan, Table


@dataclass(frozen=True)
class Step:
    """`name` is its name in the ledger; `order` decides which of several ready steps is worked on first."""

    name: str
    kind: str
    table: str
    order: int
    requires: frozenset[str]


def parents(plan: Plan, table: Table, catalog: Catalog) -> set[str]:
    """The plan's tables that this one's foreign keys lead to."""
    planned = {other.target for other in plan.tables}
    return {key.parent for key in catalog[table.target].foreign_keys} & planned - {table.target}


def forward(
    plan: Plan, catalog: Catalog, modes: Mapping[str, str], verification: int, *, dry_run: bool, capture: bool = False
) -> list[Step]:
    """The steps of a run. A loaded table is copied at once; one in use waits for its parents, whose keys are in force.

    With `capture` changes are recorded before anything is read, and applied before constraints return:
    nobody is set aside for a collision that existed only between two snapshots.
    """
    steps: list[Step] = []

    def add(kind: str, table: str, *requires: str, name: str = "") -> None:
        full = name or (f"{kind}:{table}" if table else kind)
        steps.append(Step(full, kind, table, len(steps), frozenset(requires)))

    if capture:
        add("capture", "")
    add("prepare", "", *(["capture"] if capture else []))
    for table in plan.tables:
        wait = [f"copy:{p}" for p in parents(plan, table, catalog)] if modes.get(table.target) == "upsert" else []
        add("copy", table.target, "prepare", *wait)
    if capture:
        add("catch_up", "", *(f"copy:{table.target}" for table in plan.tables))
    for table in plan.tables:
        add("index", table.target, "catch_up" if capture else f"copy:{table.target}")
    for table in plan.tables:
        others = parents(plan, table, catalog)
        add("foreign", table.target, f"index:{table.target}", *(f"foreign:{p}" for p in others))
    for table in plan.tables:
        name = f"verify:{table.target}:{verification}"
        add("verify", table.target, f"foreign:{table.target}", name=name)
        add("compare", table.target, name, name=f"compare:{table.target}:{verification}")
    check = f"check:{verification}"
    add("check", "", *(step.name for step in steps if step.kind == "compare"), name=check)
    if dry_run:
        add("sweep", "", check)
    return steps


def backward(plan: Plan, catalog: Catalog, attempt: int) -> list[Step]:
    """The steps of an undo: children before parents, then whatever constraints are still set aside."""
    steps: list[Step] = []
    first = 1000 * attempt

    def add(kind: str, table: str, *requires: str) -> str:
        name = f"{kind}:{table}:{attempt}"
        steps.append(Step(name, kind, table, first + len(steps), frozenset(requires)))
        return name

    tables = list(reversed(plan.tables))
    for table in tables:
        children = [c.target for c in plan.tables if table.target in parents(plan, c, catalog)]
        undo = add("undo", table.target, *(f"conclude:{child}:{attempt}" for child in children))
        add("conclude", table.target, undo)
    concluded = [step.name for step in steps if step.kind == "conclude"]
    for table in plan.tables:
        add("reindex", table.target, *concluded)
    for table in plan.tables:
        others = parents(plan, table, catalog)
        add(
            "reforeign", table.target, f"reindex:{table.target}:{attempt}",
            *(f"reindex:{parent}:{attempt}" for parent in others),
        )  # fmt: skip
    return steps
