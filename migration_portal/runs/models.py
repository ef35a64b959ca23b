"""Runs live in the portal's database; their chunks, quarantine and findings in the IAM's, with the rows they are about."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from migration_portal.engine.kinds import KINDS, LOADING
from migration_portal.engine.source import shown
from migration_portal.plan import lookups, numbers
from migration_portal.plan.loader import parse
from migration_portal.plan.model import Plan
from migration_portal.refusal import Refusal
from migration_portal.runs.states import ACTIVE, OVER, State, allowed


class IllegalTransition(Refusal):
    """The run is not in a state in which this can be asked; perhaps somebody else was quicker."""


_MOST_FAILURES = 20


class RunQuerySet(models.QuerySet["Run"]):
    def active(self) -> RunQuerySet:
        """Runs that keep another of the same plan from starting."""
        return self.filter(state__in=ACTIVE)

    def in_force(self) -> Run | None:
        """The run whose rows are in the IAM, neither cancelled nor undone: the latest that captures, else the latest real one."""
        return self.filter(dry_run=False).exclude(state__in=OVER).order_by("-capture", "-id").first()


class Portal(models.Model):
    """Who we are: one row. `epoch` counts the flips."""

    key = models.UUIDField(default=uuid.uuid4)
    epoch = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.key)


class Run(models.Model):
    """One execution of a plan. `key` names it in the ledger."""

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    plan_name = models.CharField(max_length=100)
    plan_text = models.TextField()
    found = models.JSONField(default=dict, blank=True)
    """What the plan's look-ups found in the IAM when the run began, or when it was revised: see plan/lookups.py."""
    dry_run = models.BooleanField(default=False)
    capture = models.BooleanField(default=False)
    state = models.CharField(max_length=20, choices=State.choices, default=State.RUNNING)
    verification = models.PositiveIntegerField(default=1)
    undo_attempt = models.PositiveIntegerField(default=0)
    hold_reason = models.TextField(blank=True)
    workers = models.PositiveSmallIntegerField(null=True, blank=True)
    chunk_seconds = models.FloatField(null=True, blank=True)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    """How much slower than it could: see throttle.py."""
    error = models.TextField(blank=True)
    started_by = models.CharField(max_length=150)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    shown = models.FloatField(default=0, editable=False)
    """The share of what it does now that was said to be done: an estimate may say less later, and a bar does not go back."""

    objects = RunQuerySet.as_manager()

    accepted_drift = ArrayField(models.TextField(), default=list, blank=True)
    """Changes of the two schemas since the run began that somebody decided to leave behind."""

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [
            ("start_run", "Can start a run"),
            ("pause_run", "Can pause and resume a run"),
            ("cancel_run", "Can cancel a run"),
            ("retry_run", "Can retry failed chunks"),
            ("force_run", "Can force a stuck run"),
            ("verify_run", "Can verify a run again"),
            ("undo_run", "Can undo a run"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["plan_name"],
                condition=models.Q(state__in=sorted(ACTIVE)),
                name="one_active_run_per_plan",
            )
        ]

    def __str__(self) -> str:
        return f"{'Dry run' if self.dry_run else 'Run'} {self.pk}"

    def resting(self, now: datetime) -> str:
        """Why nothing is copied at this hour, in one sentence; empty where it is. `now` is in UTC, as the quiet hours are."""
        begins, ends = self.quiet_from, self.quiet_until
        if begins is None or ends is None:
            return ""
        hour = now.time()
        if not (begins <= hour < ends if begins < ends else hour >= begins or hour < ends):
            return ""
        end = now.replace(hour=ends.hour, minute=ends.minute, second=0, microsecond=0)
        return f"Its quiet hours last until {end if end > now else end + timedelta(days=1):%Y-%m-%d %H:%M} UTC."

    @property
    def throttled(self) -> list[str]:
        """Its limits in words, one each."""
        said = [f"workers: {self.workers}"] if self.workers else []
        said += [f"a chunk takes {self.chunk_seconds:g} s"] if self.chunk_seconds else []
        return said + (
            [f"quiet {self.quiet_from:%H:%M} to {self.quiet_until:%H:%M} UTC"]
            if self.quiet_from and self.quiet_until
            else []
        )

    @property
    def plan(self) -> Plan:
        """The plan as it was when the run began: a file edited since does not change it."""
        return _plan(self.plan_text, self.plan_name, self.capture, json.dumps(self.found) if self.found else "")

    @property
    def schema(self) -> str:
        """Where target tables are: the plan's schema, or a dry run's own scratch schema."""
        return f"portal_dry_run_{self.pk}" if self.dry_run else self.plan.target_schema

    @property
    def loaded(self) -> bool:
        """All rows are copied and constraints in force: catch-up may run beside the rest."""
        chunks = Chunk.objects.filter(run=self.key)
        # A kind that we do not know is an earlier version's: it may load.
        loading = chunks.exclude(kind__in=KINDS.keys() - LOADING).exclude(state="done")
        return not loading.exists() and chunks.filter(kind="verify").exists()

    @property
    def differing(self) -> int:
        """Rows that differ by the last verification. Raises DatabaseError where the IAM has no ledger yet."""
        found = Finding.objects.filter(run=self.key, verification=self.verification)
        return found.values("table_name", "key").distinct().count()

    @property
    def failures(self) -> list[str]:
        """What keeps it: its own error, and why chunks failed for good. Raises DatabaseError where the IAM has no ledger yet."""
        failed = Chunk.objects.filter(run=self.key, state="failed").values_list("step", "error")[:_MOST_FAILURES]
        return [*filter(None, [self.error]), *(f"{step}: {error}" for step, error in failed)]

    def move_to(self, state: State, **changes: Any) -> None:
        """Change state, unless somebody else has by now. Raises IllegalTransition; then nothing has changed."""
        before = State(self.state)
        moved = 0
        if allowed(before, state):
            moved = Run.objects.filter(pk=self.pk, state=before).update(state=state, **changes)
        if not moved:
            self.refresh_from_db()
            raise IllegalTransition(
                f"It is {self.state}; it cannot become {state.value}.", subject=str(self),
                todo="Reload the page to see what happened.",
            )  # fmt: skip
        self.refresh_from_db()


class Chunk(models.Model):
    """The ledger's chunks, for the console to read. See engine/sql/ledger_1.sql."""

    database = "iam"

    run = models.UUIDField()
    step = models.TextField()
    step_order = models.IntegerField()
    ordinal = models.IntegerField()
    kind = models.TextField()
    table_name = models.TextField()
    lower = ArrayField(models.TextField(), null=True)
    upper = ArrayField(models.TextField(), null=True)
    rows_planned = models.BigIntegerField()
    state = models.TextField()
    attempt = models.IntegerField()
    failures = models.IntegerField()
    worker = models.TextField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    rows_read = models.BigIntegerField()
    rows_written = models.BigIntegerField()
    rows_quarantined = models.BigIntegerField()
    error = models.TextField()

    class Meta:
        managed = False
        db_table = '"portal_ledger"."chunks"'
        ordering = ["step_order", "ordinal"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.step} {self.ordinal}"

    @property
    def keys(self) -> str:
        """Which rows are its own: `lower` is among them, `upper` is not. Empty for what has no range of keys."""
        if self.kind != "copy":
            return ""
        since = f"from {shown(self.lower)}" if self.lower else "from the first"
        return f"{since} to {f'before {shown(self.upper)}' if self.upper else 'the last'}"


@lru_cache(maxsize=16)
def _plan(text: str, name: str, captures: bool, found: str) -> Plan:
    """Asked for at every turn of every loop."""
    plan = parse(text, name=name)
    if found:
        plan = lookups.resolved(plan, json.loads(found))
    return numbers.with_given(plan) if captures else plan


@lru_cache(maxsize=256)
def _name_of(key: uuid.UUID) -> str:
    """A list asks for it in every line."""
    return str(Run.objects.filter(key=key).first() or "of another portal")


class Quarantine(models.QuerySet["QuarantinedRow"]):
    def in_force(self) -> Quarantine:
        """Without what dry runs and runs that are over or superseded kept back: nobody has to decide about that."""
        runs = Run.objects.filter(dry_run=False).exclude(state__in=OVER)
        latest = runs.order_by("plan_name", "-capture", "-id").distinct("plan_name")
        return self.filter(run__in=[run.key for run in latest])


class QuarantinedRow(models.Model):
    """A legacy row kept back with a reason; `data` holds it without secrets."""

    database = "iam"

    class QuarantineState(models.TextChoices):
        OPEN = "open"
        COPIED = "copied"
        DISCARDED = "discarded"

    run = models.UUIDField()
    table_name = models.TextField("table")
    source_table = models.TextField()
    source_key = ArrayField(models.TextField())
    tenant = models.TextField(null=True)
    reason = models.TextField()
    detail = models.TextField()
    data = models.JSONField()
    state = models.TextField(choices=QuarantineState.choices)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.TextField()

    objects = Quarantine.as_manager()

    class Meta:
        managed = False
        db_table = '"portal_ledger"."quarantine"'
        ordering = ["-id"]
        verbose_name = "quarantined row"
        default_permissions = ("view",)
        permissions = [
            ("retry_quarantinedrow", "Can retry quarantined rows"),
            ("discard_quarantinedrow", "Can discard quarantined rows"),
            ("export_quarantinedrow", "Can export quarantined rows"),
        ]

    def __str__(self) -> str:
        return f"{self.table_name} {self.key_text}"

    @property
    def key_text(self) -> str:
        return shown(self.source_key)

    @property
    def run_name(self) -> str:
        return _name_of(self.run)


class Finding(models.Model):
    """What verification found: a row, and a field of it where fields differ."""

    database = "iam"

    run = models.UUIDField()
    verification = models.IntegerField()
    table_name = models.TextField()
    kind = models.TextField()
    key = ArrayField(models.TextField())
    field = models.TextField()
    legacy_value = models.TextField(null=True)
    iam_value = models.TextField(null=True)
    severity = models.TextField()
    found_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = '"portal_ledger"."findings"'
        ordering = ["table_name", "id"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.table_name} {', '.join(self.key)} {self.field}".strip()
