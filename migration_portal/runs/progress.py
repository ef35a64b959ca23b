"""How far a run is, for the terminal and the console."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from psycopg import Connection

from migration_portal import databases
from migration_portal.audit.models import Event
from migration_portal.engine import ledger
from migration_portal.engine.kinds import KINDS
from migration_portal.engine.queries import queries
from migration_portal.runs.estimate import Estimate, Key, TimeLeft, Work, estimate
from migration_portal.runs.models import Run
from migration_portal.runs.states import WORKING, State

_RECENT_SECONDS = 10.0
_ATTENDED_SECONDS = 3.0
"""Between two chunks a worker rests no longer."""
_EARLIER = 3
"""As many runs of the plan are looked at for what a step took."""
_NEARLY = 0.99
"""What is shown until all is done."""
_NOTICED = 0.005
_COPIES = ("copy", "index", "constraint", "analyze")
_VERIFIES = ("verify", "compare")
_UNDOES = ("undo", "conclude", "put_back", "rebuild_index", "restore_constraint")
_ONCE = ("capture", "prepare", "catch_up", "grant")
"""Kinds of steps that a run has or has not: they count from when they are cut into chunks."""


@dataclass(frozen=True)
class TableProgress:
    """One target table: `fraction` of all its work, rows copied, rows a second lately."""

    name: str
    fraction: float
    stage: str
    rows: int
    planned: int
    rate: int
    failed: int


@dataclass(frozen=True)
class Progress:
    """A run now: the `fraction` of what it does that is done, and the time left. `steps` are the ledger's, in order.

    `unattended` says for how many seconds nobody has been at what there is to do.
    """

    tables: list[TableProgress]
    steps: list[dict[str, Any]] = field(default_factory=list)
    fraction: float = 0.0
    left: TimeLeft | None = None
    unattended: float = 0.0

    @property
    def deserted(self) -> bool:
        return self.unattended > _ATTENDED_SECONDS

    @property
    def rate(self) -> int:
        return sum(table.rate for table in self.tables)


def progress_of(run: Run) -> Progress:
    """Read the ledger. Raises DatabaseUnreachable."""
    with databases.iam("progress") as iam:
        if not ledger.ready(iam):
            return Progress([_table(t.target, {}, {}) for t in run.plan.tables])
        about = {"run": run.key}
        rows = {row["table_name"]: row for row in ledger.rows(iam, queries("report")["progress"], about)}
        steps = ledger.rows(iam, queries("report")["steps"], about)
        made = _estimate(run, iam)
        unattended = _unattended(run, iam)
    tables = [_table(t.target, rows.get(t.target, {}), _shares(steps, t.target)) for t in run.plan.tables]
    left = made.left if unattended <= _ATTENDED_SECONDS and not run.hold_reason else None
    return Progress(tables, steps, made.fraction, left, unattended)


def _unattended(run: Run, iam: Connection[Any]) -> float:
    if run.state not in WORKING or run.hold_reason:
        return 0.0
    [idle] = iam.execute(queries("report")["unattended"], {"run": run.key}).fetchone() or [None]
    asked = Event.objects.filter(run=run.pk).values_list("at", flat=True).first() or run.started_at
    since = (timezone.now() - asked).total_seconds()
    return since if idle is None else min(float(idle), since)


def _estimate(run: Run, iam: Connection[Any]) -> Estimate:
    """Of what the run does now, by what it and the latest runs of its plan took. What was shown is never taken back."""
    if run.state in (State.COMPLETED, State.UNDONE):
        return Estimate(float(run.state == State.COMPLETED), None)
    earlier = Run.objects.filter(plan_name=run.plan_name, finished_at__isnull=False).exclude(pk=run.pk)[:_EARLIER]
    keys = [run.key, *(each.key for each in earlier)]
    now: dict[Key, Work] = {}
    before: dict[Key, Work] = {}
    number = str(run.undo_attempt if run.state == State.UNDOING else run.verification)
    for row in ledger.rows(iam, queries("report")["works"], {"runs": keys}):
        mine, step = row.pop("run") == run.key, row.pop("step")
        numbered = row["kind"] in (*_VERIFIES, *_UNDOES)
        known = now if mine and (not numbered or step.endswith(f":{number}")) else before
        known[row["kind"], row["table"]] = Work(**row)
    [at_once] = iam.execute(queries("report")["at_once"], {"run": run.key}).fetchone() or [1.0]
    made = estimate(_to_do(run, now, before), now, before, at_once)
    done, shown = min(made.fraction, _NEARLY), Run.objects.values_list("shown", flat=True).get(pk=run.pk)
    if done > shown + _NOTICED:
        Run.objects.filter(pk=run.pk, shown__lt=done).update(shown=done)
    else:
        done = shown
    return Estimate(1 - done if run.state == State.UNDOING else done, made.left if run.state in WORKING else None)


def _to_do(run: Run, now: Collection[Key], before: Collection[Key]) -> list[Key]:
    """The steps of what the run does now, as (kind, table); those that it has once as the ledger knows them."""
    undoes, again = run.state == State.UNDOING, run.verification > 1
    kinds = _UNDOES if undoes else _VERIFIES if again else (*_COPIES, *_VERIFIES)
    wanted = [(kind, table.target) for table in run.plan.tables for kind in kinds]
    if undoes or again:
        return wanted
    once = {key for key in now if key[0] in _ONCE} | {("check", "")}
    # What a run derives is derived before it verifies anything.
    if not any(kind in ("grant", "verify") for kind, _ in now):
        once |= {key for key in before if key[0] == "grant"} or {("grant", "")}
    return [*wanted, *once]


def _shares(steps: list[dict[str, Any]], table: str) -> dict[str, float]:
    """Per kind of step of the table that has chunks, the share of them that is done; the latest verification counts."""
    return {step["step"].split(":")[0]: step["done"] / step["chunks"] for step in steps if step["table_name"] == table}


def _table(name: str, row: dict[str, Any], shares: dict[str, float]) -> TableProgress:
    planned, read = int(row.get("planned") or 0), int(row.get("read") or 0)
    finished = int(row.get("planned_done") or 0)
    if planned:
        shares = shares | {"copy": finished / planned}
    if "undo" in shares:
        fraction = 1.0 - (shares["undo"] + shares.get("conclude", 0.0)) / 2
    else:
        fraction = sum(KINDS[kind].weight * share for kind, share in shares.items())
    rate = int(float(row.get("recent") or 0) / _RECENT_SECONDS)
    return TableProgress(name, fraction, _stage(shares), read, planned, rate, int(row.get("failed") or 0))


def _stage(shares: dict[str, float]) -> str:
    """The words of the last kind, in the table's order, of which something is done."""
    for name, kind in reversed(KINDS.items()):
        if kind.doing and shares.get(name):
            return kind.done if shares[name] >= 1 else kind.doing
    return "waiting"
