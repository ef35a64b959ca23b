"""Which steps a run has, and what each waits for. Pure: the order follows from the plan and from how tables are treated."""

from __future__ import annotations

from collections.abc import Mapping

from migration_portal.engine.kinds import Step
from migration_portal.plan.model import Catalog, Plan, Table


def parents(plan: Plan, table: Table, catalog: Catalog) -> set[str]:
    """The plan's tables that this one's foreign keys lead to."""
    planned = {other.target for other in plan.tables}
    return {key.parent for key in catalog[table.target].foreign_keys} & planned - {table.target}


def forward(
    plan: Plan, catalog: Catalog, modes: Mapping[str, str], verification: int, *, dry_run: bool, capture: bool = False
) -> list[Step]:
    """The steps of a run. A loaded table is copied at once; one in use waits for its parents, whose keys are in force.

    With `capture` changes are recorded before anything is read, and applied before constraints return:
    no row is quarantined for a collision that existed only between two snapshots.
    """
    steps: list[Step] = []

    def add(kind: str, table: str, *requires: str, verifies: bool = False) -> str:
        name = ":".join([kind, *([table] if table else []), *([str(verification)] if verifies else [])])
        steps.append(Step(name, kind, table, len(steps), frozenset(requires), verification if verifies else 0))
        return name

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
        add("constraint", table.target, f"index:{table.target}", *(f"constraint:{p}" for p in others))
    compared = []
    for table in plan.tables:
        analyzed = add("analyze", table.target, f"constraint:{table.target}")
        verified = add("verify", table.target, f"constraint:{table.target}", verifies=True)
        compared += [analyzed, add("compare", table.target, verified, verifies=True)]
    checked = add("check", "", *compared, verifies=True)
    if dry_run:
        add("sweep", "", checked)
    return steps


def backward(plan: Plan, catalog: Catalog, attempt: int) -> list[Step]:
    """The steps of an undo: children before parents, then whatever constraints are still suspended."""
    steps: list[Step] = []
    first = 1000 * attempt

    def add(kind: str, table: str, *requires: str) -> str:
        name = f"{kind}:{table}:{attempt}"
        steps.append(Step(name, kind, table, first + len(steps), frozenset(requires)))
        return name

    concluded = []
    for table in reversed(plan.tables):
        children = [c.target for c in plan.tables if table.target in parents(plan, c, catalog)]
        undone = add("undo", table.target, *(f"conclude:{child}:{attempt}" for child in children))
        concluded.append(add("conclude", table.target, undone))
    for table in plan.tables:
        before = [f"put_back:{p}:{attempt}" for p in parents(plan, table, catalog)]
        add("put_back", table.target, *concluded, *before)
    for table in plan.tables:
        add("rebuild_index", table.target, f"put_back:{table.target}:{attempt}", *concluded)
    for table in plan.tables:
        rebuilt = [table.target, *parents(plan, table, catalog)]
        add("restore_constraint", table.target, *(f"rebuild_index:{name}:{attempt}" for name in rebuilt))
    return steps
