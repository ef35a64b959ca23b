"""The tenants on the board: those of the IAM, kept in step with it."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.rows import dict_row

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.catchup.flows import captured_run


def sync_tenants() -> int:
    """Give every tenant of the IAM a place on the board, and drop those that are gone. Returns how many there are."""
    run = captured_run()
    if run is None:
        return TenantHome.objects.count()
    with databases.iam("board") as iam, iam.cursor(row_factory=dict_row) as cursor:
        names = {row["id"]: row["name"] or "" for row in cursor.execute("SELECT id::text, name FROM tenants")}
    known = dict(TenantHome.objects.values_list("tenant", "name"))
    new = [id for id in names if id not in known]
    if new:
        TenantHome.objects.bulk_create(
            [TenantHome(tenant=id, legacy_tenant=id, name=names[id]) for id in new], ignore_conflicts=True
        )
        _legacy_ids(new)
    for id, name in known.items():
        if id in names and names[id] != name:
            TenantHome.objects.filter(pk=id).update(name=names[id])
    TenantHome.objects.filter(pk__in=[id for id in known if id not in names], moves=None).delete()
    return len(names)


def _legacy_ids(tenants: Sequence[str]) -> None:
    """Legacy may write a tenant's id in another case."""
    with databases.legacy("board") as legacy, legacy.transaction():
        written = legacy.execute("SELECT id::text FROM tenants WHERE id::text <> lower(id::text)").fetchall()
    for (id,) in written:
        if id.lower() in tenants:
            TenantHome.objects.filter(pk=id.lower()).update(legacy_tenant=id)
