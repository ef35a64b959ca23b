"""Which steps a run has, and what each waits for. Pure: the order follows from the plan and from how tables are treated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migration_portal.engine.kinds import Step
from migration_portal.plan.derived import derived
from migration_portal.plan.model import Catalog, Plan, Table


def parents(tables: Sequence[Table], table: Table, catalog: Catalog) -> set[str]:
    """Those of the tables that this one's foreign keys lead to."""
    planned = {other.target for other in tables}
    return {key.parent for key in catalog[table.target].foreign_keys} & planned - {table.target}


def forward(
    plan: Plan, catalog: Catalog, modes: Mapping[str, str], verification: int, *, dry_run: bool, capture: bool = False
) -> list[Step]:
    """The steps of a run. A loaded table is copied at once; one in use waits for its parents, whose keys are in force.

    With `capture` changes are recorded before anything is read, and applied before constraints return:
    no row is quarantined for a collision that existed only between two snapshots.
    """
    steps: list[Step] = []
    granted = [table for table in derived(plan, catalog) if table.target in modes]

    def add(kind: str, table: str, *requires: str, verifies: bool = False) -> str:
        name = ":".join([kind, *([table] if table else []), *([str(verification)] if verifies else [])])
        steps.append(Step(name, kind, table, len(steps), frozenset(requires), verification if verifies else 0))
        return name

    if capture:
        add("capture", "")
    add("prepare", "", *(["capture"] if capture else []))
    for table in plan.tables:
        wait = (
            [f"copy:{p}" for p in parents(plan.tables, table, catalog)] if modes.get(table.target) == "upsert" else []
        )
        add("copy", table.target, "prepare", *wait)
    if capture:
        add("catch_up", "", *(f"copy:{table.target}" for table in plan.tables))
    for table in plan.tables:
        add("index", table.target, "catch_up" if capture else f"copy:{table.target}")
    for table in plan.tables:
        others = parents(plan.tables, table, catalog)
        add("constraint", table.target, f"index:{table.target}", *(f"constraint:{p}" for p in others))
    # Derived from whole tables, and one from the other; nothing is caught up before they are there.
    whole = [f"constraint:{table.target}" for table in plan.tables]
    for table in granted:
        whole.append(add("grant", table.target, *whole))
    compared = [add("analyze", table.target, f"grant:{table.target}") for table in granted]
    for table in plan.tables:
        analyzed = add("analyze", table.target, f"constraint:{table.target}")
        verified = add("verify", table.target, *(whole if granted else [f"constraint:{table.target}"]), verifies=True)
        compared += [analyzed, add("compare", table.target, verified, verifies=True)]
    checked = add("check", "", *compared, verifies=True)
    if dry_run:
        add("sweep", "", checked)
    return steps


def backward(plan: Plan, catalog: Catalog, modes: Mapping[str, str], attempt: int) -> list[Step]:
    """The steps of an undo: children before parents, then whatever constraints are still suspended."""
    tables = [*plan.given, *plan.tables, *(table for table in derived(plan, catalog) if table.target in modes)]
    steps: list[Step] = []
    first = 1000 * attempt

    def add(kind: str, table: str, *requires: str) -> str:
        name = f"{kind}:{table}:{attempt}"
        steps.append(Step(name, kind, table, first + len(steps), frozenset(requires)))
        return name

    concluded = []
    for table in reversed(tables):
        children = [c.target for c in tables if table.target in parents(tables, c, catalog)]
        undone = add("undo", table.target, *(f"conclude:{child}:{attempt}" for child in children))
        concluded.append(add("conclude", table.target, undone))
    for table in tables:
        before = [f"put_back:{p}:{attempt}" for p in parents(tables, table, catalog)]
        add("put_back", table.target, *concluded, *before)
    for table in plan.tables:
        add("rebuild_index", table.target, f"put_back:{table.target}:{attempt}", *concluded)
    for table in plan.tables:
        rebuilt = [table.target, *parents(plan.tables, table, catalog)]
        add("restore_constraint", table.target, *(f"rebuild_index:{name}:{attempt}" for name in rebuilt))
    return steps
