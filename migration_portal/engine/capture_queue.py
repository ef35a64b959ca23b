"""The queue of captured entries: how long it is, what waits in it, and putting keys into it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import Composable, Literal

from migration_portal.engine.queries import queries
from migration_portal.engine.source import Key, Named, array_of_keys
from migration_portal.plan import belonging, compile
from migration_portal.plan.model import Catalog, Plan, Table

_MANY = 20_000


@dataclass(frozen=True)
class Lag:
    """Captured entries not yet applied: how many, how many of them failed before, and the age of the oldest in seconds."""

    entries: int = 0
    retrying: int = 0
    seconds: float = 0.0
    last: int | None = None


@dataclass(frozen=True)
class OfTenant:
    """What waits for a tenant (or for whoever it may concern), and what the side had committed in that moment."""

    waiting: int
    snapshot: str
    last: int


def lag(queue: Connection[Any]) -> Lag:
    """How far catch-up is behind; nothing where nothing is captured."""
    row = queue.execute("SELECT to_regclass('portal_capture.queue')").fetchone()
    if row is None or row[0] is None:
        return Lag()
    with queue.cursor(row_factory=class_row(Lag)) as cursor:
        return cursor.execute(queries("queue")["lag"]).fetchone() or Lag()


def applied(queue: Connection[Any], upto: int | None) -> bool:
    """Whether all that was captured up to an entry has been applied, or has been tried."""
    row = queue.execute(queries("queue")["fresh_upto"], {"last": upto}).fetchone()
    return not (row and row[0])


def of_tenant(queue: Connection[Any], tenant: str) -> OfTenant:
    with queue.cursor(row_factory=class_row(OfTenant)) as cursor:
        row = cursor.execute(queries("queue")["of_tenant"], {"tenant": tenant}).fetchone()
    assert row is not None
    return row


def tenants_waiting(queue: Connection[Any]) -> dict[str, int]:
    """Entries waiting, per tenant as the source writes it."""
    return dict(queue.execute(queries("queue")["tenants_waiting"]).fetchall())


def whose(queue: Connection[Any]) -> set[str] | None:
    """The tenants that entries wait for, in lower case; None where one may concern anybody, or where they are too many to tell."""
    found = [row[0] for row in queue.execute(queries("queue")["whose"], {"most": _MANY + 1})]
    return None if None in found or len(found) > _MANY else set(found)


def enqueue(queue: Connection[Any], table: str, keys: Iterable[Sequence[str]], tenant: str | None = None) -> None:
    """Ask for these keys to be looked up again."""
    with queue.cursor() as cursor:
        cursor.executemany(
            queries("queue")["enqueue"], [{"table": table, "key": list(key), "tenant": tenant} for key in keys]
        )


def enqueue_tenant(queue: Connection[Any], plan: Plan, table: Table, tenant: str, where: Composable) -> None:
    """Ask for a tenant's rows of a source table to be looked up again: those that satisfy `where`."""
    statement = queries("queue")["enqueue_tenant"].format(
        name=Literal(table.source), key=compile.source_key(table), tenant=Literal(tenant),
        table=compile.source_table(plan, table), where=where,
    )  # fmt: skip
    queue.execute(statement)


def waiting(queue: Connection[Any], table: str, keys: Collection[Key], *, whole: bool = True) -> set[Key]:
    """Those of these keys that are captured and not yet applied; all of them where the `whole` table is."""
    statement = queries("queue")["waiting"].format(table=Literal(table), keys=array_of_keys(keys))
    found = {row[0] and tuple(row[0]) for row in queue.execute(statement)}
    if None in found and whole:
        return set(keys)
    waits = Named(found - {None})
    return {key for key in keys if key in waits}


def whole(queue: Connection[Any], table: str) -> bool:
    """Whether the whole table is captured and not yet applied."""
    row = queue.execute(queries("queue")["whole_waits"], {"table": table}).fetchone()
    return bool(row and row[0])


def follow_parents(queue: Connection[Any], plan: Plan, catalog: Catalog, tenant: str) -> None:
    """Entries of rows whose parent has come to the tenant since they were captured are that tenant's by now; of rows that are
    gone, anybody's.
    """
    for source in plan.sources:
        whose = belonging.tenant_of_key(plan, source, catalog, "q.key")
        if whose is not None:
            statement = queries("queue")["follow_parents"].format(
                name=Literal(source), tenant=Literal(tenant), whose=whose
            )
            queue.execute(statement)


def due_now(queue: Connection[Any], tenant: str | None = None) -> None:
    """Let what waits to be tried again, of a tenant (as the source writes it) or of all, be tried at once."""
    queue.execute(queries("queue")["due_now"], {"tenant": tenant})


def compact(queue: Connection[Any], left: Iterable[str] = ()) -> int:
    """Drop entries that a newer one of the same key makes superfluous; not those of tenants that `left`. Returns how many."""
    return queue.execute(queries("queue")["compact"], {"left": [tenant.lower() for tenant in left]}).rowcount


def limit(queue: Connection[Any], waiting: int, most: int) -> None:
    """Let the triggers record keys until `most` entries wait, whole tables from then on."""
    queue.execute(queries("queue")["limit"], {"waiting": waiting, "most": most})
