"""What a second person may have to agree to. Each room registers its own; nothing here knows what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from migration_portal.refusal import Refusal

ASK = "approvals.ask_approval"
"""The permission to ask for what needs another's."""
Arguments = Mapping[str, Any]
"""What an action is done with, as JSON holds it."""
Figures = list[tuple[str, str]]
"""What an action will do: what is counted, and how much, as text."""
_registered: dict[str, Action] = {}


@dataclass(frozen=True)
class Action:
    """`permission` is needed by who agrees, and by who does it where no second person is asked.

    `perform` takes the arguments, and by whom and why, and returns what came of it; `impact` counts what it will do. Both
    raise Refusal. `takes` says which arguments, and of which type each is.
    """

    name: str
    label: str
    permission: str
    perform: Callable[[Arguments, str, str], str]
    impact: Callable[[Arguments], Figures]
    takes: Mapping[str, type] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether the settings want a second person for it."""
        return self.name in settings.APPROVALS

    def read(self, query: Mapping[str, str]) -> Arguments:
        """Its arguments out of an address. Raises ValueError where one is missing, or of another type."""
        if missing := self.takes.keys() - query.keys():
            raise ValueError(f"It lacks {', '.join(sorted(missing))}.")
        return {name: kind(query[name]) for name, kind in self.takes.items()}


def register(action: Action) -> Action:
    _registered[action.name] = action
    return action


def named(name: str) -> Action:
    """Raises Refusal for one that is gone since it was asked for."""
    if name not in _registered:
        raise Refusal("There is no such action any more.", subject=name, todo="Withdraw the request.")
    return _registered[name]
