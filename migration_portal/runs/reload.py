"""Bringing one table of a run anew, while tenants live on either side: by catch-up, which knows who lives where."""

from __future__ import annotations

from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.engine import capture
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs import ownership
from migration_portal.runs.models import Run
from migration_portal.runs.states import State


def reload(run: Run, target: str, *, by: str, reason: str) -> list[str]:
    """Have catch-up look at every row of legacy's that fills the table, and remove what legacy has no row for.

    Rows of tenants that live in the IAM stay as they are. Returns the tables that the same rows fill, this one among them. Raises
    Refusal, psycopg.Error.
    """
    require_reason(reason, to="Reloading a table", subject=str(run))
    table = run.plan.find(target)
    if table is None or not table.source:
        raise Refusal("The run copies no such table.", subject=target, todo="Choose one of its report.")
    if run != Run.objects.in_force() or not run.capture or run.state != State.COMPLETED:
        raise Refusal(
            "Only of the latest run, completed and with capture, a table can be reloaded.", subject=str(run),
            todo="Without capture, start another run: it brings what is missing and what differs.",
        )  # fmt: skip
    with databases.legacy_writable("reload") as legacy:
        ownership.check(legacy, "portal_capture", "legacy database")
        if not capture.installed(legacy):
            raise Refusal("Nothing is captured any more.", subject=str(run), todo="Start another run.")
        legacy.execute("SELECT portal_capture.whole(%s)", [table.source])
    filled = [each.target for each in run.plan.siblings(table.source)]
    chain.record("reload_table", of=run, run=run.pk, by=by, reason=reason, data={"table": ", ".join(filled)})
    return filled
