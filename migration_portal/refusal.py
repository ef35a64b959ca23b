"""Refusals: errors that an operator is meant to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

_JUST_NOW = timedelta(minutes=2)
"""A time so near is meant: forms know minutes only."""


class Refusal(Exception):
    """Something was asked that cannot be done now; nothing has changed.

    `what` happened, to which `subject`, and what `todo` about it: one sentence each.
    """

    def __init__(self, what: str, *, subject: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.subject = subject
        self.todo = todo

    def __str__(self) -> str:
        subject = f"{self.subject}: " if self.subject else ""
        todo = f" {self.todo}" if self.todo else ""
        return f"{subject}{self.what}{todo}"


def require_reason(reason: str, *, to: str, subject: str = "") -> None:
    """Raises Refusal when the reason is blank; `to` is what needs one, as in "Undoing"."""
    if not reason.strip():
        raise Refusal(f"{to} needs a reason.", subject=subject, todo="Say why; the audit log keeps it.")


def require_ahead(at: datetime | None, *, subject: str) -> None:
    """Raises Refusal when the time has passed."""
    if at is not None and at < datetime.now(UTC) - _JUST_NOW:
        raise Refusal(f"{at:%Y-%m-%d %H:%M %Z} has passed.", subject=subject, todo="Write a time to come, or none.")


def each(rows: Iterable[Any], decide: Callable[[Any], Any]) -> tuple[int, Counter[str]]:
    """Each by itself: one that cannot be decided so keeps no other. Returns how many were, and the others by why."""
    done, refused = 0, Counter[str]()
    for row in rows:
        try:
            decide(row)
            done += 1
        except (Refusal, psycopg.Error) as error:
            refused[str(error).splitlines()[0]] += 1
    return done, refused
