"""The two databases and the plan between them, as one argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.sql import Composed, Identifier

from migration_portal.plan.model import Catalog, Plan, Table, TableInfo


@dataclass(frozen=True)
class Sides:
    """What every verb of the engine works on.

    `legacy` and `iam` are autocommit connections, legacy's read-only with repeatable-read snapshots;
    `schema` is where target tables are: the plan's, or the scratch schema of a dry run.
    """

    legacy: Connection[Any]
    iam: Connection[Any]
    plan: Plan
    source: Catalog
    target: Catalog
    run: UUID
    schema: str
    queue: Connection[Any] | None = None
    """A session that may write to legacy's capture queue, where the run captures."""
    away: frozenset[str] = frozenset()
    """Tenants at home in the IAM: what only the IAM keeps of them cannot be compared."""

    def table(self, target: str) -> Table:
        return self.plan.table(target)

    def info(self, table: Table) -> TableInfo:
        """The target table as the plan's schema describes it."""
        return self.target[table.target]

    def target_table(self, name: str) -> Composed:
        return Composed([Identifier(self.schema, name)])

    def iam_name(self, schema: str, table: str) -> str:
        """A quoted name, for a cast to regclass."""
        return Identifier(schema, table).as_string(self.iam)
