"""Whether an expression says a tenant as the tenants' own table writes it: the guard is told the one, and asked for the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from migration_portal.engine.errors import describe
from migration_portal.plan import belonging, compile
from migration_portal.plan.checks import Finding
from migration_portal.plan.model import Catalog, Plan, Table


def tenants_written(legacy: Connection[Any], plan: Plan, source: Catalog) -> Iterator[Finding]:
    """An error for each table whose expression writes a tenant otherwise than the tenants' table does."""
    tenants = plan.find("tenants")
    if tenants is None:
        return
    for table in plan.tables:
        if table is tenants or not table.source_tenant or belonging.tenant_column(plan, table.source, source):
            continue
        differ = SQL(
            "SELECT count(*) FROM ({}) AS o JOIN ({}) AS t USING (mapped) WHERE o.written <> t.written"
        ).format(_written(legacy, plan, table, source), _written(legacy, plan, tenants, source))
        try:
            with legacy.transaction():
                row = legacy.execute(differ).fetchone()
        except psycopg.DataError as error:
            yield Finding(
                "warning",
                table.source,
                f"How its rows write their tenants could not be compared: {describe(error).what}",
            )
            continue
        if row and row[0]:
            yield Finding(
                "error", table.source, f"{row[0]:,} tenants are written otherwise there than in {tenants.source}: the guard would"
                " not know them.", f"Let 'tenant' give it as {tenants.source} has it, or give both as uuid.",
            )  # fmt: skip


def _written(legacy: Connection[Any], plan: Plan, table: Table, source: Catalog) -> Composed:
    """Each tenant of the table's rows once: as it writes it, and as the IAM does."""
    name = Identifier(table.source).as_string(legacy)
    return SQL("SELECT DISTINCT lower({}) AS written, lower({}) AS mapped FROM {}").format(
        belonging.tenant_as_written(plan, table.source, source, name),
        belonging.tenant_of_source_row(plan, table.source, source), compile.source_table(plan, table),
    )  # fmt: skip
