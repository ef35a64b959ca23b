"""Snapshots of the databases, on record: inventories that can be compared, and pre-flights."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Snapshot(models.Model):
    """Something requested by an operator and taken by a worker. `content` is empty until `finished_at`."""

    requested_at = models.DateTimeField(auto_now_add=True)
    requested_by = models.CharField(max_length=150)
    finished_at = models.DateTimeField(null=True, blank=True)
    content = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    class Meta:
        abstract = True
        ordering = ["-id"]

    @property
    def waited(self) -> int:
        """Whole seconds since it was requested."""
        return int((timezone.now() - self.requested_at).total_seconds())


class Inventory(Snapshot):
    """One snapshot of the legacy database; see take.py for what `content` holds."""

    class Meta(Snapshot.Meta):
        verbose_name_plural = "inventories"
        default_permissions = ("view",)
        permissions = [("take_inventory", "Can take an inventory")]

    def __str__(self) -> str:
        return f"Inventory {self.pk} of {self.requested_at:%Y-%m-%d %H:%M}"


class Preflight(Snapshot):
    """One pre-flight; see preflight.py for what `content` holds."""

    class Meta(Snapshot.Meta):
        default_permissions = ("view",)
        permissions = [("run_preflight", "Can run pre-flight")]

    def __str__(self) -> str:
        return f"Pre-flight {self.pk} of {self.requested_at:%Y-%m-%d %H:%M}"
