from hypothesis import given
from hypothesis import strategies as st

from migration_portal.runs.states import ACTIVE, TRANSITIONS, WORKING, State, allowed
from migration_portal.runs.verbs import VERBS


@given(st.lists(st.sampled_from(sorted(TRANSITIONS)), max_size=20))
def test_no_walk_through_the_table_leaves_it_or_revives_an_undone_run(walk: list[tuple[State, State]]) -> None:
    state = State.RUNNING
    for before, after in walk:
        if before == state:
            assert state != State.UNDONE
            assert allowed(state, after)
            state = after


def test_every_state_but_the_last_has_a_way_out() -> None:
    assert {before for before, _ in TRANSITIONS} == set(State) - {State.UNDONE}


def test_every_state_can_be_reached() -> None:
    reached = {State.RUNNING}
    for _ in State:
        reached |= {after for before, after in TRANSITIONS if before in reached}
    assert reached == set(State)


def test_workers_only_work_on_active_runs() -> None:
    assert WORKING <= ACTIVE


def test_every_button_is_offered_only_where_its_transition_is_allowed() -> None:
    after = {"pause": State.PAUSING, "resume": State.RUNNING, "retry": State.RUNNING, "verify": State.RUNNING,
             "cancel": State.CANCELLING, "undo": State.UNDOING}  # fmt: skip
    for name, state in after.items():
        assert all(allowed(before, state) for before in VERBS[name].states), name
