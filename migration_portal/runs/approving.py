"""What of a run may want a second person."""

from __future__ import annotations

from migration_portal.approvals.actions import Action, Arguments, Figures, register
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.verbs import VERBS

_VERB = VERBS["undo"]


def _run(arguments: Arguments) -> Run:
    run = Run.objects.filter(pk=arguments["run"]).first()
    if run is None:
        raise Refusal("There is no such run any more.", subject=f"Run {arguments['run']}")
    return run


def _undo(arguments: Arguments, by: str, reason: str) -> str:
    _VERB.do(_run(arguments), by=by, reason=reason)
    return _VERB.done


def _undone(arguments: Arguments) -> Figures:
    tables = report(_run(arguments)).tables
    return [(f"Rows of {name} that the run wrote", f"{table.copied:,}") for name, table in tables.items()]


UNDO = register(Action(_VERB.name, "Undoing a run", _VERB.permission, _undo, _undone, {"run": int}))
