"""Finding one of a tenant's people by what the plan makes their id, user name and e-mail of."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier, Literal

from flags.models import TenantHome
from migration_portal.engine import quarantine
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile, directions
from migration_portal.plan.model import Table

_NAMES = ("username", "email")


def legacy_key(transfer: Transfer, table: Table, tenant: TenantHome, who: str) -> list[str] | None:
    """The key of the person's legacy row, or the one that theirs would have; None where nobody is called so.

    `table` is the plan's table of users; `who` an id of either side, a user name or an e-mail, as written. Raises psycopg.Error.
    """
    unmapped = quarantine.unmapped(table, quarantine.open_keys(transfer, table, reasons="cannot_be_%"))
    ids = [*(SQL("{}::text").format(Identifier(name)) for name in table.key), *_said(table, unmapped)]
    statement = SQL("SELECT {} FROM {} WHERE {} AND {} IN ({}) LIMIT 1").format(
        compile.source_key(table), compile.source_table(transfer.plan, table),
        quarantine.of_tenant(transfer, table, tenant.legacy_tenant), Literal(who), SQL(", ").join(ids),
    )  # fmt: skip
    with transfer.source.transaction():
        row = transfer.source.execute(statement).fetchone()
    if row is None and (back := directions.source_key(table, "t")) is not None:
        statement = SQL("SELECT {} FROM {} AS t WHERE t.tenant_id::text = {} AND {} IN ({}) LIMIT 1").format(
            back, transfer.target_table(table.target), Literal(tenant.tenant), Literal(who),
            SQL(", ").join(SQL("t.{}::text").format(Identifier(name)) for name in ("id", *_NAMES)),
        )  # fmt: skip
        row = transfer.target.execute(statement).fetchone()
    return list(row[0]) if row and row[0] and None not in row[0] else None


def _said(table: Table, unmapped: Composable) -> list[Composable]:
    """What the IAM would call them; not of rows that it may not be possible to map."""
    columns = [column for name in ("id", *_NAMES) if (column := table.column(name))]
    return [
        SQL("(CASE WHEN NOT {} THEN ({})::text END)").format(unmapped, compile.raw(column.sql)) for column in columns
    ]
