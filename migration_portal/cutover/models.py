"""Moves of tenants between the two systems, one record each; stray writes are in the ledger."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from flags.models import TenantHome


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
        return f"{self.table_name} {', '.join(self.key)}"
