"""Finalize: the IAM is the only home from now on. Reverse sync stops, capture and guard go, the ledger is archived."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from psycopg.sql import SQL, Identifier

from flags.models import TenantHome
from migration_portal.audit import chain
from migration_portal.catchup.flows import captured_run
from migration_portal.catchup.models import Stream
from migration_portal.cutover.models import Stray
from migration_portal.engine import capture
from migration_portal.plan import directions
from migration_portal.plan.errors import Refusal
from migration_portal.runs.opening import sides_of

_WORKING_TABLES = ("chunks", "tables", "catalogs", "commits", "overwritten", "set_aside", "sums")


def in_the_way() -> list[str]:
    """Why the migration cannot be finalized yet."""
    found: list[str] = []
    run = captured_run()
    if run is None:
        return ["No run captures changes: there is nothing to finalize."]
    if staying := TenantHome.objects.exclude(home=TenantHome.Home.IAM).count():
        found.append(f"{staying} tenants are still at home in legacy.")
    if not TenantHome.objects.exists():
        found.append("No tenant was cut over.")
    if strays := Stray.objects.filter(run=run.key, state="open").count():
        found.append(f"{strays} stray writes wait for a decision.")
    with sides_of(run, "finalize") as sides:
        for name, connection in (("legacy", sides.queue), ("the IAM", sides.iam)):
            assert connection is not None
            if waiting := capture.lag(connection).entries:
                found.append(f"{waiting} changes captured on {name} wait to be applied.")
    return found


def finalize(*, by: str, reason: str) -> str:
    """Do it. Returns the name of the ledger's archive. Raises Refusal with everything that is in the way, or psycopg.Error."""
    if reasons := in_the_way():
        raise Refusal(" ".join(reasons), subject="finalize", todo="Nothing has changed.")
    if not reason.strip():
        raise Refusal("Finalizing needs a reason.", subject="finalize", todo="Say why; it goes into the audit log.")
    run = captured_run()
    assert run is not None
    archive = f"portal_archive_{timezone.now():%Y%m%d_%H%M%S}"
    with sides_of(run, "finalize") as sides, transaction.atomic():
        chain.record("finalize", of=run, run=run.pk, by=by, reason=reason, data={"count": TenantHome.objects.count()})
        TenantHome.objects.update(final=True)
        run.capture = False
        run.save(update_fields=["capture"])
        Stream.objects.all().delete()
        plan = directions.backward(sides.plan, sides.source, sides.target)
        with sides.iam.transaction():
            sides.iam.execute(SQL("CREATE SCHEMA {}").format(Identifier(archive)))
            for table in _WORKING_TABLES:
                statement = SQL("CREATE TABLE {} AS TABLE {}")
                sides.iam.execute(statement.format(Identifier(archive, table), Identifier("portal_ledger", table)))
            capture.remove(sides.iam, plan)
        assert sides.queue is not None
        capture.remove(sides.queue, sides.plan)
    return archive
