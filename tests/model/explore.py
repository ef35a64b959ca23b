"""Visiting every state of the model, and what must be true in each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tests.model.protocol import MOVED, TENANTS, Setup, State, index, steps


@dataclass(frozen=True)
class Explored:
    """How many states there are, and the shortest way to one that breaks a property."""

    states: int
    broken: str = ""
    way: tuple[str, ...] = ()


def explore(setup: Setup) -> Explored:
    """Breadth first, so that what is found is found by the shortest way."""
    first = State()
    came_from: dict[State, tuple[State, str] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        following = list(steps(state, setup))
        if broken := _broken(state, setup, ended=not following):
            return Explored(len(came_from), broken, _way(came_from, state))
        for name, after in following:
            if after not in came_from:
                came_from[after] = (state, name)
                waiting.append(after)
    return Explored(len(came_from))


def _broken(state: State, setup: Setup, *, ended: bool) -> str:
    if setup.guard and any(state.opened[0][t] and state.opened[1][t] for t in TENANTS):
        return "I2: both sides accept writes of one tenant"
    if setup.guard and state.strays:
        return "the guard let a write through on the side that does not own its tenant"
    web = state.writers[0]
    if setup.through_portal and web.acknowledged and 0 in state.strays and not state.restored:
        return "a request that waited for its tenant's home wrote on the wrong side"
    if not ended:
        return ""
    if state.mover != "done":
        return "I4: the move stands still"
    for number, writer in enumerate(state.writers):
        at_home = state.rows[index(state.home[writer.tenant])][writer.tenant]
        if writer.acknowledged and number not in at_home and number not in state.strays:
            return f"I1: the write {number} is neither at its tenant's home nor listed"
        if writer.acknowledged and number not in state.strays and writer.tenant != MOVED:
            both = [side[writer.tenant] for side in state.rows]
            if number not in both[0] & both[1] and state.home[writer.tenant] == writer.side:
                return f"I1: the write {number} did not arrive on the other side"
    return ""


def _way(came_from: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    names: list[str] = []
    while (before := came_from[state]) is not None:
        state, name = before
        names.append(name)
    return tuple(reversed(names))
