"""The tenants on the board: those of the IAM, kept in step with it."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.catchup.flows import captured_run
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import belonging, compile
from migration_portal.plan.model import Table
from migration_portal.runs.connections import open_transfer


def sync_tenants() -> int:
    """Give every tenant of the IAM a place on the board, and drop those that are gone. Returns how many there are."""
    run = captured_run()
    if run is None:
        return TenantHome.objects.count()
    with open_transfer(run, "board") as transfer:
        table = transfer.plan.find("tenants")
        with transfer.target.cursor(row_factory=dict_row) as cursor:
            names = {row["id"]: row["name"] or "" for row in cursor.execute("SELECT id::text, name FROM tenants")}
        with transfer.source.transaction():
            written = transfer.source.execute(_written(transfer, table)).fetchall() if table else []
    known = dict(TenantHome.objects.values_list("tenant", "name"))
    TenantHome.objects.bulk_create(
        [TenantHome(tenant=id, legacy_tenant=id, name=names[id]) for id in names if id not in known],
        ignore_conflicts=True,
    )
    for id, name in known.items():
        if id in names and names[id] != name:
            TenantHome.objects.filter(pk=id).update(name=names[id])
    for legacy, tenant in written:
        TenantHome.objects.filter(pk=tenant).exclude(legacy_tenant=legacy).update(legacy_tenant=legacy)
    # A tenant that is being born in the IAM has its home before its first row.
    hour_ago = timezone.now() - timedelta(hours=1)
    gone = TenantHome.objects.filter(pk__in=[id for id in known if id not in names], moves=None)
    gone.filter(Q(home=TenantHome.Home.LEGACY) | Q(changed_at__lt=hour_ago)).delete()
    return len(names)


def count_users() -> None:
    """Keep how many users each tenant has in the IAM, for the board to sort by. Raises DatabaseUnreachable, psycopg.Error."""
    if not TenantHome.objects.exists():
        return
    with databases.iam("board") as iam:
        counted = iam.execute("SELECT tenant_id::text, count(*) FROM users GROUP BY 1")
        users = {str(tenant): int(count) for tenant, count in counted}
    homes = [home for home in TenantHome.objects.all() if home.users != users.get(home.pk, 0)]
    for home in homes:
        home.users = users.get(home.pk, 0)
    TenantHome.objects.bulk_update(homes, ["users"], batch_size=1000)


def _written(transfer: Transfer, table: Table) -> Composed:
    """Legacy may write a tenant's id in another way than the IAM: those ids, each with the IAM's."""
    name = Identifier(table.source).as_string(transfer.source)
    own = belonging.tenant_as_written(transfer.plan, table.source, transfer.source_catalog, name)
    mapped = belonging.tenant_of_source_row(transfer.plan, table.source, transfer.source_catalog)
    return SQL("SELECT * FROM (SELECT {}, {} FROM {}) AS ids (own, mapped) WHERE own <> mapped").format(
        own, mapped, compile.source_table(transfer.plan, table)
    )
