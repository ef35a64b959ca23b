"""The guard of waves: what must be well for one to begin or continue, the same for all tenants."""

from __future__ import annotations

import psycopg
from django.db import DatabaseError

from flags import maintenance
from flags.models import TenantHome
from migration_portal import databases
from migration_portal.backups.models import Backup
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover.blockers import of_catch_up
from migration_portal.monitoring.alerts import ROLL_BACK
from migration_portal.monitoring.baseline import worse
from migration_portal.monitoring.models import Alert
from migration_portal.refusal import Refusal
from migration_portal.runs.states import State


def not_well() -> str:
    """The first thing that is not, as a sentence; empty when all is. A database that does not answer is one."""
    try:
        return _not_well()
    except (DatabaseError, Refusal, psycopg.Error) as error:
        return databases.words(error)


def _not_well() -> str:
    run = captured_run()
    if run is None:
        return "No run captures changes."
    if run.state != State.COMPLETED:
        return f"{run} is {run.state}; it must be completed and verified."
    if said := Alert.objects.open().filter(key__startswith=ROLL_BACK).values_list("what", flat=True).first():
        return str(said)
    if critical := Alert.objects.open().filter(severity="critical").values_list("what", flat=True).first():
        return f"A critical alert is open: {critical}"
    if maintenance.current() is not None:
        return "The doors are closed."
    if reasons := of_catch_up(TenantHome.Home.IAM):
        return reasons[0]
    if slower := worse():
        return slower
    if differing := run.differing:
        return f"Verification found {differing:,} rows that differ."
    return Backup.objects.missing() or ""
