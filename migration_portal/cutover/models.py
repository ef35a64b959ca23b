"""Moves of tenants between the two systems, one record each; strays are in the ledger."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from flags.models import TenantHome


class Cutover(models.Model):
    """One tenant's move to `home`, asked for by an operator and made by a worker."""

    class State(models.TextChoices):
        ASKED = "asked"
        PREPARING = "preparing"
        HOLDING = "holding"
        DONE = "done"
        ABORTED = "aborted"

    tenant = models.ForeignKey(TenantHome, on_delete=models.PROTECT, related_name="moves")
    home = models.CharField(max_length=10, choices=TenantHome.Home.choices)
    wave = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.ASKED)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(default=timezone.now)
    reason = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    hold_ms = models.FloatField(null=True, blank=True)
    error = models.TextField(blank=True)

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
                condition=models.Q(state__in=["asked", "preparing", "holding"]),
                name="one_move_a_tenant",
            )
        ]

    def __str__(self) -> str:
        return f"{self.tenant} to {self.get_home_display()}"


class Stray(models.Model):
    """A row written on the side that does not own its tenant; see engine/sql/install.sql."""

    database = "iam"

    run = models.UUIDField()
    direction = models.TextField()
    table_name = models.TextField("table")
    key = ArrayField(models.TextField())
    tenant = models.TextField(null=True)
    what = models.TextField()
    seen_at = models.DateTimeField()
    state = models.TextField(choices=[("open", "open"), ("taken", "taken"), ("dropped", "dropped")])
    decided_at = models.DateTimeField(null=True)
    decided_by = models.TextField()

    class Meta:
        managed = False
        db_table = '"portal_ledger"."strays"'
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("decide_stray", "Can decide stray writes")]

    def __str__(self) -> str:
        return f"{self.table_name} {', '.join(self.key)}"
