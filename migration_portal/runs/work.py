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
from migration_portal.engine.errors import LeaseLost, describe, lasting, passing
from migration_portal.engine.kinds import perform
from migration_portal.engine.ledger import Chunk
from migration_portal.engine.transfer import Transfer
from migration_portal.refusal import Refusal
from migration_portal.runs.advance import advance
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run
from migration_portal.runs.states import WORKING

log = structlog.get_logger(__name__)
_LONGEST_SECONDS = 60.0
"""Then the task ends, and the next one continues: a message must not stay unacknowledged for hours."""
_NAP_SECONDS = 0.1
"""While all that waits is to be tried again a little later."""


def work(run_id: int) -> int:
    """Work on the run's chunks. Returns how many were done. Never raises for what the operator is told on the run."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    until = time.monotonic() + _LONGEST_SECONDS
    count = 0
    idle = False
    try:
        run = Run.objects.get(pk=run_id)
        with open_transfer(run, "worker") as transfer:
            while time.monotonic() < until and _wanted(run):
                chunk = ledger.claim(transfer.target, run.key, worker, most=run.workers)
                if chunk is None:
                    if (run.workers and ledger.at_work(transfer.target, run.key) >= run.workers) or not advance(
                        run, transfer
                    ):
                        break
                    if idle:
                        time.sleep(_NAP_SECONDS)
                    idle = True
                    continue
                idle = False
                _do(transfer, chunk, run.chunk_seconds or settings.CHUNK_SECONDS)
                count += 1
                if ledger.step_finished(transfer.target, run.key, chunk.step):
                    advance(run, transfer)  # steps that waited for this one may matter more than what is claimable now
    except Run.DoesNotExist:
        log.warning("run_gone", run=run_id)
    except (Refusal, psycopg.Error) as error:
        # A database is away: the tick sends the next worker, and `advance` tells the operator.
        log.warning("worker_stopped", run=run_id, error=str(error).splitlines()[0] if str(error) else "")
    return count


def _wanted(run: Run) -> bool:
    run.refresh_from_db(fields=["state", "hold_reason", "workers", "chunk_seconds"])
    return run.state in WORKING and not run.hold_reason


def _do(transfer: Transfer, chunk: Chunk, seconds: float) -> None:
    try:
        if chunk.kind == "copy":
            chunk = ledger.enlarge(transfer.target, transfer.run, chunk, seconds)
        perform(transfer, chunk)
    except LeaseLost:
        log.info("lease_lost", chunk=chunk.id)
    except psycopg.Error as error:
        _fail(transfer, chunk, describe(error, subject=chunk.table_name))
    except Refusal as refusal:
        _fail(transfer, chunk, refusal)
    except Exception as error:
        # A mistake of ours: the operator reads its name on the chunk, the log has the rest.
        log.exception("chunk_broke", chunk=chunk.id, kind=chunk.kind)
        what = f"Internal error ({type(error).__name__})."
        _fail(transfer, chunk, Refusal(what, subject=chunk.step, todo="See the worker's log."))


def _fail(transfer: Transfer, chunk: Chunk, refusal: Refusal) -> None:
    log.warning("chunk_failed", chunk=chunk.id, step=chunk.step, error=str(refusal))
    kind = {"passing": passing(refusal), "lasting": lasting(refusal)}
    if transfer.broken:
        with databases.iam("worker") as fresh:
            ledger.failed(fresh, chunk, str(refusal), **kind)
        raise refusal
    ledger.failed(transfer.target, chunk, str(refusal), **kind)
