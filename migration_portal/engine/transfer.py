"""Two databases and the plan between them, as one argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.sql import Composed, Identifier

from migration_portal.plan.derived import derived
from migration_portal.plan.model import Catalog, Plan, Table, TableInfo


@dataclass(frozen=True)
class Transfer:
    """What every verb of the engine works on: rows of the source become rows of the target as the plan says.

    Forward the source is legacy and the target the IAM; in reverse it is the other way round. Both are autocommit
    sessions, the source's read-only with repeatable-read snapshots. `schema` is where target tables are: the plan's,
    or the scratch schema of a dry run.
    """

    source: Connection[Any]
    target: Connection[Any]
    plan: Plan
    source_catalog: Catalog
    target_catalog: Catalog
    run: UUID
    schema: str
    queue: Connection[Any] | None = None
    """A session that may write to the source's capture queue, where the run captures."""
    in_iam: frozenset[str] = frozenset()
    """Tenants at home in the IAM: what only the IAM keeps of them cannot be compared."""
    runs: tuple[UUID, ...] = ()
    """This run and those of the same plan before it: what any of them wrote came from this legacy."""

    @property
    def broken(self) -> bool:
        """Whether a session was lost: then all are opened anew."""
        sessions = (self.source, self.target, self.queue)
        return any(session.broken for session in sessions if session is not None)

    def table(self, target: str) -> Table:
        """The table that fills `target`: the plan's, one that its rows fill, or one derived from those. Raises KeyError."""
        for table in (*self.plan.given, *derived(self.plan, self.target_catalog)):
            if table.target == target:
                return table
        return self.plan.table(target)

    def info(self, table: Table) -> TableInfo:
        """The target table as the plan's schema describes it."""
        return self.target_catalog[table.target]

    def target_table(self, name: str) -> Composed:
        """Where the table's rows are: a dry run has those that the plan fills in its scratch schema, all others the IAM's own."""
        return Composed([Identifier(self.schema if self._in_scratch(name) else self.plan.target_schema, name)])

    def _in_scratch(self, name: str) -> bool:
        if self.schema == self.plan.target_schema:
            return False
        filled = (*self.plan.tables, *self.plan.given, *derived(self.plan, self.target_catalog))
        return name in {table.target for table in filled}

    def quoted(self, schema: str, name: str) -> str:
        """A quoted name in the target, for a cast to regclass."""
        return Identifier(schema, name).as_string(self.target)
