"""Force: free a run whose workers hang."""

from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.engine import ledger
from migration_portal.runs.dispatch import dispatch
from migration_portal.runs.models import Run


def force(run: Run, *, by: str, reason: str = "") -> None:
    """Cut the database sessions that work on the run's chunks; the chunks roll back and are claimed again.

    Raises DatabaseUnreachable, or MissingPrivilege when the sessions are another role's.
    """
    with databases.iam("force") as iam:
        cut = ledger.terminate(iam, run.key)
    chain.record("force", of=run, run=run.pk, by=by, reason=reason, data={"workers": cut})
    dispatch(run)
