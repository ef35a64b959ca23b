"""A worker's loop: claim a chunk, do it, until there is nothing left or the operator says stop."""

from __future__ import annotations

import os
import socket
import time

import psycopg
import structlog
from django.conf import settings

from migration_portal import databases
from migration_portal.engine import ledger
from migration_portal.engine.errors import LeaseLost, describe, passing
from migration_portal.engine.ledger import Chunk
from migration_portal.engine.perform import perform
from migration_portal.engine.sides import Sides
from migration_portal.plan.errors import Refusal
from migration_portal.runs.advance import advance
from migration_portal.runs.models import Run
from migration_portal.runs.opening import sides_of
from migration_portal.runs.states import WORKING

log = structlog.get_logger(__name__)
_LONGEST_SECONDS = 60.0
"""Then the task ends, and the next one goes on: a message must not stay unacknowledged for hours."""


def work(run_id: int) -> int:
    """Work on the run's chunks. Returns how many were done. Never raises for what the operator is told on the run."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    until = time.monotonic() + _LONGEST_SECONDS
    count = 0
    try:
        run = Run.objects.get(pk=run_id)
        with sides_of(run, "worker") as sides:
            while time.monotonic() < until and _wanted(run):
                chunk = ledger.claim(sides.iam, run.key, worker)
                if chunk is None:
                    if not advance(run):
                        break
                    continue
                _do(sides, chunk)
                count += 1
                if ledger.step_finished(sides.iam, run.key, chunk.step):
                    advance(run)  # steps that waited for this one may matter more than what is claimable now
    except Run.DoesNotExist:
        log.warning("run_gone", run=run_id)
    except (Refusal, psycopg.Error) as error:
        # A database is away: the tick sends the next worker, and `advance` tells the operator.
        log.warning("worker_stopped", run=run_id, error=str(error).splitlines()[0] if str(error) else "")
    return count


def _wanted(run: Run) -> bool:
    run.refresh_from_db(fields=["state", "hold_reason"])
    return run.state in WORKING and not run.hold_reason


def _do(sides: Sides, chunk: Chunk) -> None:
    try:
        if chunk.kind == "copy":
            chunk = ledger.enlarge(sides.iam, sides.run, chunk, settings.CHUNK_SECONDS)
        perform(sides, chunk)
    except LeaseLost:
        log.info("lease_lost", chunk=chunk.id)
    except psycopg.Error as error:
        _fail(sides, chunk, describe(error, subject=chunk.table_name))
    except Refusal as refusal:
        _fail(sides, chunk, refusal)
    except Exception as error:
        # A mistake of ours: the operator reads its name on the chunk, the log has the rest.
        log.exception("chunk_broke", chunk=chunk.id, kind=chunk.kind)
        what = f"The portal made a mistake ({type(error).__name__})."
        _fail(sides, chunk, Refusal(what, subject=chunk.step, todo="See the worker's log."))


def _fail(sides: Sides, chunk: Chunk, refusal: Refusal) -> None:
    log.warning("chunk_failed", chunk=chunk.id, step=chunk.step, error=str(refusal))
    if sides.iam.broken or sides.legacy.broken:
        with databases.iam("worker") as fresh:
            ledger.failed(fresh, chunk, str(refusal), passing=passing(refusal))
        raise refusal
    ledger.failed(sides.iam, chunk, str(refusal), passing=passing(refusal))
