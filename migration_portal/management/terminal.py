"""Where a verb answers: in lines for people, or with --json in one object for scripts, which says what to do next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import OutputWrapper

from migration_portal.refusal import Refusal


def with_plan(verb: str, plan: str = "") -> str:
    """The command with its plan, or with the one that this command was given: who named it once needs it for the next."""
    plan = plan or str(settings.MIGRATION_PLAN)
    named = "" if plan == settings.DEFAULT_PLAN else f"MIGRATION_PLAN={shlex.quote(plan)} "
    return f"{named}manage.py portal {verb}"


class Terminal:
    """For one verb."""

    def __init__(self, out: OutputWrapper, *, as_json: bool) -> None:
        self.out, self.as_json, self.answered = out, as_json, False

    def write(self, line: str) -> None:
        """For people alone."""
        if not self.as_json:
            self.out.write(line)

    def answer(self, content: Mapping[str, Any], lines: Iterable[str], *, next_steps: Sequence[str]) -> None:
        """`lines` say the same as `content`; `next_steps` are commands, or sentences."""
        self.answered = True
        if self.as_json:
            self.out.write(json.dumps({**content, "next_steps": list(next_steps)}, indent=2, default=str))
            return
        for line in lines:
            self.out.write(line)

    def refuse(self, refusal: Refusal) -> None:
        """What keeps a script from guessing: the refusal as an answer, where there was none."""
        if self.as_json and not self.answered:
            steps = [refusal.todo] if refusal.todo else []
            self.answer({"error": refusal.what, "subject": refusal.subject}, (), next_steps=steps)
