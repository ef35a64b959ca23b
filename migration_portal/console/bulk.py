"""Deciding about many records of a list at once: those that are ticked, or all that match its filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from migration_portal.console.actions import act, reason
from migration_portal.console.pages import page
from migration_portal.refusal import Refusal


@dataclass(frozen=True)
class Decision:
    """A verb on many records. `explain` says what it does to each; `decide` takes them and the reason, and returns what to tell."""

    heading: str
    explain: str
    button: str
    permission: str
    decide: Callable[[Sequence[Any], str], str]
    most: int


def asked(
    request: HttpRequest, rows: QuerySet[Any], decision: Decision, count: Callable[[], Mapping[str, int]]
) -> HttpResponse:
    """An admin action: a page that says in numbers what will happen, then the decision itself, back at the list as it was.

    `count` is asked for those numbers, by their names. What matches by then, and was not shown, is shown first.
    """
    found = rows.count()
    if request.POST.get("shown") == str(found):

        def do() -> str:
            if not 0 < found <= decision.most:
                raise Refusal(f"{found:,} rows match.", todo=f"Tick 1 to {decision.most:,} that are open.")
            return decision.decide(list(rows), reason(request))

        return act(request, decision.permission, do, back=request.get_full_path(), done="")
    return page(
        request, "portal/parts/bulk.html", decision.heading, decision=decision, found=found, counts=count(),
        changed="shown" in request.POST, reason=reason(request), again=[
            (name, value) for name in ("action", "index", "select_across", ACTION_CHECKBOX_NAME)
            for value in request.POST.getlist(name)
        ],
    )  # fmt: skip


def told(done: int, refused: Counter[str], *, verb: str) -> str:
    """What came of it, for the operator: the figures, and the first reason."""
    why = f" Not {verb}: {refused.total():,}. {next(iter(refused))}" if refused else ""
    return f"{verb.capitalize()}: {done:,}.{why}"
