"""Moves of tenants between the two systems, one record each; stray writes are in the ledger."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from flags.models import TenantHome
from migration_portal.engine.source import shown


class CutoverQuerySet(models.QuerySet["Cutover"]):
    def under_way(self) -> CutoverQuerySet:
        """Requested and not ended: the worker makes them, and a tenant has one at most."""
        return self.filter(state__in=UNDER_WAY)


class Cutover(models.Model):
    """One tenant's move to `home`, requested by an operator and made by a worker."""

    class State(models.TextChoices):
        REQUESTED = "requested"
        PREPARING = "preparing"
        HOLDING = "holding"
        DONE = "done"
        BLOCKED = "blocked"
        STOPPED = "stopped"

    tenant = models.ForeignKey(TenantHome, on_delete=models.PROTECT, related_name="moves")
    home = models.CharField(max_length=10, choices=TenantHome.Home.choices)
    wave = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField(default=timezone.now)
    reason = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    hold_ms = models.FloatField(null=True, blank=True)
    followed_up_at = models.DateTimeField(null=True, blank=True)
    """When everything that follows from the flip was done: the loop resumes it until then."""
    error = models.TextField(blank=True)

    objects = CutoverQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [
            ("cut_over_tenant", "Can cut tenants over"),
            ("reverse_tenant", "Can reverse tenants"),
            ("finalize_tenant", "Can finalize the migration"),
            ("guard_tenant", "Can switch the guard"),
            ("plan_wave", "Can plan, pause and stop waves"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"],
                condition=models.Q(state__in=["requested", "preparing", "holding"]),
                name="one_move_a_tenant",
            )
        ]

    def __str__(self) -> str:
        return f"{self.tenant} to {self.get_home_display()}"


UNDER_WAY = (Cutover.State.REQUESTED, Cutover.State.PREPARING, Cutover.State.HOLDING)


class WaveQuerySet(models.QuerySet["Wave"]):
    def open(self) -> WaveQuerySet:
        """Neither done nor given up."""
        return self.exclude(state__in=Wave.OVER)


class Wave(models.Model):
    """Tenants that are cut over together, chosen when it was planned; its moves carry its name."""

    class State(models.TextChoices):
        PLANNED = "planned"
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"
        STOPPED = "stopped"
        SKIPPED = "skipped"

    OVER = (State.DONE, State.STOPPED, State.SKIPPED)

    name = models.CharField(max_length=100, unique=True)
    rule = models.JSONField(default=dict)
    """How its tenants were chosen, as cutover/selection reads it."""
    tenants = models.ManyToManyField(TenantHome, related_name="waves")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNED)
    waits_for = models.TextField(blank=True)
    """Why it begins or goes on later: the guard's words, or a maintenance window."""
    at_once = models.PositiveIntegerField(default=4)
    starts_at = models.DateTimeField(null=True, blank=True)
    """When it begins by itself; None for when somebody starts it."""
    opens = models.TimeField(null=True, blank=True)
    closes = models.TimeField(null=True, blank=True)
    """The maintenance window of each day, from and to, in the portal's time zone; moves begin only within it."""
    reads_minutes = models.PositiveIntegerField(default=0)
    """For how long the IAM answers its tenants' reads before their writes move."""
    reads_began_at = models.DateTimeField(null=True, blank=True)
    guarded = models.BooleanField(default=True)
    """Whether it waits while health, lag, findings or backups are not well."""
    reason = models.TextField(blank=True)
    planned_by = models.CharField(max_length=150)
    planned_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = WaveQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name

    @property
    def runs(self) -> bool:
        """Whether its moves may begin now."""
        return self.state == self.State.RUNNING and not self.waits_for


class Stray(models.Model):
    """A row written on the side that does not own its tenant; see engine/sql/ledger_1.sql."""

    database = "iam"

    class State(models.TextChoices):
        OPEN = "open"
        ACCEPTED = "accepted"
        RESTORED = "restored"

    run = models.UUIDField()
    direction = models.TextField()
    table_name = models.TextField("table")
    key = ArrayField(models.TextField())
    tenant = models.TextField(null=True)
    what = models.TextField()
    seen_at = models.DateTimeField()
    state = models.TextField(choices=State.choices)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.TextField()

    class Meta:
        managed = False
        db_table = '"portal_ledger"."strays"'
        ordering = ["-id"]
        verbose_name = "stray write"
        default_permissions = ("view",)
        permissions = [("decide_stray", "Can decide stray writes")]

    def __str__(self) -> str:
        return f"{self.table_name} {shown(self.key)}"
