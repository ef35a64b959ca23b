"""Who is covered: stable, independent, monotonic; prerequisites hold for the same subject; circles are refused."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from flags.decide import Definition, Subject, cycle, decide
from tests.flags.drawing import ids, percentages

names = st.sampled_from("abcdef")


def test_flags_of_one_group_cover_the_same_people() -> None:
    flags = {n: Definition(n, percentage=Decimal(50), group="together") for n in ("one", "other")}
    for n in range(200):
        subject = Subject(user=f"user-{n}")
        assert decide(flags, "one", subject).on is decide(flags, "other", subject).on


@given(ids, percentages, percentages, st.booleans())
def test_a_child_is_never_on_with_its_parent_off(id: str, parent: Decimal, child: Decimal, targeted: bool) -> None:
    flags = {
        "parent": Definition("parent", percentage=parent),
        "child": Definition(
            "child", percentage=child, requires=("parent",), targets=frozenset([f"user:{id}"] if targeted else [])
        ),
    }
    subject = Subject(user=id)
    assert not decide(flags, "child", subject).on or decide(flags, "parent", subject).on


def test_the_order_of_reasons() -> None:
    subject = Subject(user="u", tenant="t", wave="pilot")
    everything = {
        "percentage": Decimal(100), "targets": frozenset(["user:u"]), "waves": frozenset(["pilot"]),
    }  # fmt: skip

    def on(**values: object) -> bool:
        return decide({"f": Definition("f", **values)}, "f", subject).on  # type: ignore[arg-type]

    assert on(**everything)
    assert not on(**everything, killed=True)
    assert not on(**everything, excluded=frozenset(["tenant:t"]))
    assert on(targets=frozenset(["tenant:t"])) and on(waves=frozenset(["pilot"]))
    assert not on(waves=frozenset(["later"])) and not on()


def test_a_derived_flag_is_what_follows_and_not_what_somebody_sets() -> None:
    done = {"done": Definition("done", derived=True, percentage=Decimal(100))}
    assert not decide(done, "done", Subject()).on
    assert decide({"done": Definition("done", derived=True, met=True)}, "done", Subject()).on


@given(st.dictionaries(names, st.lists(names, max_size=3)))
def test_a_circle_is_found_exactly_when_there_is_one(requires: dict[str, list[str]]) -> None:
    def reaches_itself(start: str) -> bool:
        seen, todo = set(), list(requires.get(start, []))
        while todo:
            name = todo.pop()
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                todo += requires.get(name, [])
        return False

    assert bool(cycle(requires)) is any(reaches_itself(name) for name in requires)


def test_who_is_targeted_in_two_ways_is_told_the_first_by_name() -> None:
    flag = {"f": Definition("f", targets=frozenset(["user:u", "tenant:t"]))}
    assert decide(flag, "f", Subject(user="u", tenant="t")).why == "tenant:t is targeted."
