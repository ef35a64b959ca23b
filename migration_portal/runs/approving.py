"""What of a run may want a second person."""

from __future__ import annotations

from migration_portal.approvals.actions import Action, Arguments, Figures, register
from migration_portal.refusal import Refusal
from migration_portal.runs import undo
from migration_portal.runs.models import Run
from migration_portal.runs.report import report


def _run(arguments: Arguments) -> Run:
    run = Run.objects.filter(pk=arguments["run"]).first()
    if run is None:
        raise Refusal("There is no such run any more.", subject=f"Run {arguments['run']}")
    return run


def _undo(arguments: Arguments, by: str, reason: str) -> str:
    undo.undo(_run(arguments), by=by, reason=reason)
    return "Undo has started."


def _undone(arguments: Arguments) -> Figures:
    tables = report(_run(arguments)).tables
    return [(f"Rows of {name} that the run wrote", f"{table.copied:,}") for name, table in tables.items()]


UNDO = register(Action("undo", "Undoing a run", "runs.undo_run", _undo, _undone))
