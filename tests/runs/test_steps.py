from hypothesis import given
from hypothesis import strategies as st

from migration_portal.engine.kinds import Step
from migration_portal.plan.model import Column, ForeignKey, Plan, Table, TableInfo
from migration_portal.runs.steps import backward, forward


@st.composite
def plans(draw):
    """A plan of up to six tables in foreign-key order, with random references to earlier ones."""
    names = [f"t{n}" for n in range(draw(st.integers(1, 6)))]
    catalog = {}
    for n, name in enumerate(names):
        parents = draw(st.sets(st.sampled_from(names[:n]), max_size=3)) if n else set()
        keys = tuple(ForeignKey(f"{name}_{parent}", ("p",), parent, ("id",)) for parent in sorted(parents))
        catalog[name] = TableInfo(name, {}, ("id",), foreign_keys=keys)
    tables = tuple(Table(name, name, ("id",), (Column("id", "id"), Column("p", "p"))) for name in names)
    modes = {name: draw(st.sampled_from(["load", "upsert"])) for name in names}
    return Plan("p", "", tables, ""), catalog, modes


def _runnable(steps: list[Step]) -> list[str]:
    """Do steps whose requirements are done until none is left; the order in which that happens."""
    done: list[str] = []
    while ready := [s.name for s in steps if s.name not in done and s.requires <= set(done)]:
        done += ready
    return done


@given(plans(), st.booleans())
def test_every_step_of_a_run_comes_to_its_turn(drawn, dry_run) -> None:
    plan, catalog, modes = drawn
    steps = forward(plan, catalog, modes, 1, dry_run=dry_run)
    assert sorted(_runnable(steps)) == sorted(step.name for step in steps)


@given(plans())
def test_every_step_of_an_undo_comes_to_its_turn_children_first(drawn) -> None:
    plan, catalog, modes = drawn
    order = _runnable(backward(plan, catalog, modes, 1))
    for table in catalog.values():
        for key in table.foreign_keys:
            assert order.index(f"conclude:{table.name}:1") < order.index(f"undo:{key.parent}:1")


@given(plans())
def test_references_are_built_only_on_settled_parents(drawn) -> None:
    plan, catalog, modes = drawn
    order = _runnable(forward(plan, catalog, modes, 1, dry_run=False))
    for table in catalog.values():
        for key in table.foreign_keys:
            assert order.index(f"constraint:{key.parent}") < order.index(f"constraint:{table.name}")
