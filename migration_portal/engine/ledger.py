"""The ledger's chunks: adding, claiming, finishing. See sql/ledger_*.sql for its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, dict_row, tuple_row
from psycopg.sql import SQL, Literal
from psycopg.types.json import Jsonb

from migration_portal.engine.errors import LeaseLost
from migration_portal.engine.queries import queries
from migration_portal.locks import Lock

LEASE_SECONDS = 5.0
"""Only covers the moment between the claim and the chunk's transaction; inside it, the row's lock is the lease."""
MOST_FAILURES = 3
MOST_DEATHS = 60
_SCRIPTS = ("ledger_1.sql", "ledger_2.sql", "ledger_3.sql", "ledger_4.sql")
"""What made each version of the ledger out of the one before."""


@dataclass(frozen=True)
class NewChunk:
    """A unit of work to add: `kind` says what to do with `table_name`, `spec` holds the rest."""

    kind: str
    table_name: str
    lower: tuple[str, ...] | None = None
    upper: tuple[str, ...] | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    rows_planned: int = 0


@dataclass
class Chunk:
    """A claimed chunk."""

    id: int
    step: str
    step_order: int
    ordinal: int
    kind: str
    table_name: str
    lower: list[str] | None
    upper: list[str] | None
    spec: dict[str, Any]
    rows_planned: int
    attempt: int
    failures: int


@dataclass(frozen=True)
class Outcome:
    """What a chunk did, in rows. For a copy: read = written + quarantined."""

    read: int = 0
    written: int = 0
    quarantined: int = 0


def install(iam: Connection[Any]) -> None:
    """Create the ledger in the IAM database, or bring an older one up to date; do nothing when it is current.

    The version is kept as the schema's comment, and asked first, because even CREATE INDEX IF NOT EXISTS locks out writers.
    """
    if _version(iam) == len(_SCRIPTS):
        return
    with iam.transaction():
        iam.execute("SELECT pg_advisory_xact_lock(%s)", [int(Lock.LEDGER)])
        for script in _SCRIPTS[_version(iam) :]:
            iam.execute((Path(__file__).parent / "sql" / script).read_bytes())
        iam.execute(SQL("COMMENT ON SCHEMA portal_ledger IS {}").format(Literal(f"version {len(_SCRIPTS)}")))


def _version(iam: Connection[Any]) -> int:
    """0 for none. Version 1 signed itself with a checksum."""
    row = iam.cursor(row_factory=tuple_row).execute(queries("ledger")["version"]).fetchone()
    there, comment = row if row else (False, None)
    if not there:
        return 0
    return int(comment.removeprefix("version ")) if comment and comment.startswith("version ") else 1


def ready(iam: Connection[Any]) -> bool:
    """Whether there is a ledger to read. An earlier version's is brought up to date: pages may be the first to look."""
    if _version(iam) == 0:
        return False
    install(iam)
    return True


def add(iam: Connection[Any], run: UUID, step: str, step_order: int, chunks: Iterable[NewChunk]) -> None:
    """Add a step's chunks, all or none; chunks that are there already stay as they are."""
    rows = [
        {
            "run": run,
            "step": step,
            "step_order": step_order,
            "ordinal": ordinal,
            "kind": chunk.kind,
            "table_name": chunk.table_name,
            "lower": list(chunk.lower) if chunk.lower is not None else None,
            "upper": list(chunk.upper) if chunk.upper is not None else None,
            "spec": Jsonb(chunk.spec),
            "rows_planned": chunk.rows_planned,
        }
        for ordinal, chunk in enumerate(chunks)
    ]
    with iam.transaction(), iam.cursor() as cursor:
        cursor.executemany(queries("chunks")["add"], rows)


def claim(iam: Connection[Any], run: UUID, worker: str, *, most: int | None = None) -> Chunk | None:
    """Take the next chunk of the run, or None when there is nothing to claim, or `most` workers have one."""
    with iam.transaction(), iam.cursor(row_factory=class_row(Chunk)) as cursor:
        iam.execute("SET LOCAL synchronous_commit = off")  # a lost claim is claimed again
        if most is not None:
            iam.execute("SELECT pg_advisory_xact_lock(%s)", [int(Lock.CLAIM)])  # or two would take the last place
            if at_work(iam, run) >= most:
                return None
        arguments = {"run": run, "worker": worker, "lease": LEASE_SECONDS}
        return cursor.execute(queries("chunks")["claim"], arguments).fetchone()


def at_work(iam: Connection[Any], run: UUID) -> int:
    """How many workers have a chunk of the run."""
    row = iam.cursor(row_factory=tuple_row).execute(queries("chunks")["at_work"], {"run": run}).fetchone()
    return int(row[0]) if row else 0


def enlarge(iam: Connection[Any], run: UUID, chunk: Chunk, seconds: float) -> Chunk:
    """Merge the chunk with the waiting ones behind it, so that it takes about `seconds` at the speed seen so far.

    Raises LeaseLost.
    """
    if chunk.attempt > 1 or chunk.upper is None:
        return chunk
    arguments: dict[str, Any] = {"run": run, "step": chunk.step, "ordinal": chunk.ordinal}
    with iam.transaction(), iam.cursor(row_factory=tuple_row) as cursor:
        fence(iam, chunk)  # who claimed it since may be copying the neighbours
        row = cursor.execute(queries("chunks")["speed"], arguments).fetchone()
        most = int(float(row[0]) * seconds / max(chunk.rows_planned, 1)) - 1 if row and row[0] else 0
        if most < 1:
            return chunk
        absorbed: list[int] = []
        neighbours = cursor.execute(queries("chunks")["neighbours"], arguments | {"most": most}).fetchall()
        for identifier, lower, upper, rows in neighbours:
            if lower != chunk.upper:
                break
            absorbed.append(identifier)
            chunk.upper, chunk.rows_planned = upper, chunk.rows_planned + rows
            if upper is None:
                break
        if absorbed:
            merged = {
                "absorbed": absorbed, "upper": chunk.upper, "rows_planned": chunk.rows_planned, "id": chunk.id,
            }  # fmt: skip
            cursor.execute(queries("chunks")["absorb"], merged)
    return chunk


def fence(iam: Connection[Any], chunk: Chunk) -> None:
    """Hold the chunk until the end of the current transaction. Raises LeaseLost when it is somebody else's now."""
    held = iam.execute(queries("chunks")["fence"], {"id": chunk.id, "attempt": chunk.attempt}).fetchone()
    if held is None:
        raise LeaseLost(f"Chunk {chunk.id} was claimed again by another worker.")


def done(iam: Connection[Any], chunk: Chunk, outcome: Outcome) -> None:
    """Mark the chunk done, in the transaction that holds its rows."""
    arguments = {
        "id": chunk.id, "read": outcome.read, "written": outcome.written, "quarantined": outcome.quarantined,
    }  # fmt: skip
    iam.execute(queries("chunks")["done"], arguments)


def failed(iam: Connection[Any], chunk: Chunk, error: str, *, passing: bool = False, lasting: bool = False) -> None:
    """Note the failure: a passing one is tried again for as long as it takes, a lasting one waits for the operator, others do so
    after `MOST_FAILURES`.
    """
    count = 0 if passing else MOST_FAILURES if lasting else 1
    arguments = {
        "id": chunk.id, "attempt": chunk.attempt, "error": error[:2000], "count": count, "most": MOST_FAILURES,
        "delay": 1.0 if passing else 0.5 * 2.0**chunk.failures,
    }  # fmt: skip
    iam.execute(queries("chunks")["failed"], arguments)


def give_up(iam: Connection[Any], run: UUID) -> None:
    iam.execute(queries("chunks")["give_up"], {"run": run, "most": MOST_DEATHS})


def retry_failed(iam: Connection[Any], run: UUID) -> int:
    """Let the run's failed chunks be claimed again. Returns how many."""
    return iam.execute(queries("chunks")["retry_failed"], {"run": run}).rowcount


def release(iam: Connection[Any], run: UUID) -> int:
    """Free the chunks whose workers are gone. Returns how many."""
    return iam.execute(queries("chunks")["release"], {"run": run}).rowcount


def terminate(iam: Connection[Any], run: UUID) -> int:
    """Cut the sessions that work on the run's chunks. Returns how many."""
    return iam.execute(queries("chunks")["terminate"], {"run": run}).rowcount


@dataclass(frozen=True)
class StepCounts:
    """A step's chunks by state."""

    step: str
    chunks: int
    waiting: int
    claimed: int
    done: int
    failed: int

    @property
    def finished(self) -> bool:
        return self.done == self.chunks


def counts(iam: Connection[Any], run: UUID) -> dict[str, StepCounts]:
    """The chunks of each step that has any."""
    with iam.cursor(row_factory=class_row(StepCounts)) as cursor:
        return {row.step: row for row in cursor.execute(queries("chunks")["counts"], {"run": run})}


def step_finished(iam: Connection[Any], run: UUID, step: str) -> bool:
    row = iam.execute(queries("chunks")["step_finished"], {"run": run, "step": step}).fetchone()
    return bool(row and row[0])


def record_commit(iam: Connection[Any], run: UUID, table: str) -> None:
    """Note that the current transaction writes rows of `table`."""
    iam.execute(queries("chunks")["commit"], {"run": run, "table": table})


def rows(connection: Connection[Any], statement: Any, arguments: Any = None) -> list[dict[str, Any]]:
    """Run a query and return its rows as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, arguments).fetchall()


def modes(iam: Connection[Any], run: UUID) -> dict[str, str]:
    """Per table, `load` or `upsert`."""
    statement = "SELECT table_name, mode FROM portal_ledger.tables WHERE run = %s"
    return dict(iam.execute(statement, [run]).fetchall())


def xids(iam: Connection[Any], run: UUID, table: str) -> Sequence[str]:
    """The transaction ids in which the run wrote rows of the table, as text."""
    return xids_of(iam, [run], table)


def xids_of(iam: Connection[Any], runs: Sequence[UUID], table: str) -> Sequence[str]:
    """Those of any of these runs."""
    statement = "SELECT DISTINCT xid::text FROM portal_ledger.commits WHERE run = ANY(%s) AND table_name = %s"
    return [row[0] for row in iam.execute(statement, [list(runs), table])]
