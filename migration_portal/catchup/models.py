"""How far each direction of catch-up is, for the console: the queues themselves are in the two databases."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from flags.models import TenantHome
from migration_portal.runs.models import Run

_STALLED_AFTER = timedelta(seconds=30)


class FlowStatus(models.Model):
    """One direction of catch-up, as its loop last saw it."""

    class Direction(models.TextChoices):
        FORWARD = "forward", "legacy → IAM"
        REVERSE = "reverse", "IAM → legacy"

    direction = models.CharField(max_length=10, choices=Direction.choices, primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE)
    beat_at = models.DateTimeField(default=timezone.now)
    batch_size = models.PositiveIntegerField(default=500)
    entries = models.PositiveBigIntegerField(default=0)
    retrying = models.PositiveBigIntegerField(default=0)
    lag_seconds = models.FloatField(default=0)
    applied = models.PositiveBigIntegerField(default=0)
    touched = models.PositiveBigIntegerField(default=0)
    compared = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True)
    servers = models.JSONField(default=list, blank=True)
    """The incarnations of source and ledger when everything was last compared, or begun to be."""

    class Meta:
        # The names under which version 0.1 granted them.
        default_permissions = ()
        permissions = [
            ("view_stream", "Can view catch-up"),
            ("compact_stream", "Can compact the capture queue"),
        ]

    def __str__(self) -> str:
        return self.get_direction_display()

    @property
    def alive(self) -> bool:
        """Its loop has sent a heartbeat lately, by the clock of the database that both the loop and we ask."""
        return type(self).objects.filter(pk=self.pk, beat_at__gt=Now() - _STALLED_AFTER).exists()

    @property
    def begun(self) -> bool:
        """Whether it matters that it lives: reverse has nothing to do before a tenant lives in the IAM."""
        return self.direction == self.Direction.FORWARD or TenantHome.objects.filter(home=TenantHome.Home.IAM).exists()

    @property
    def trouble(self) -> str:
        """Why it is not well, in a sentence; empty when it is."""
        if self.error:
            return self.error
        if self.alive:
            return ""
        minutes = int((timezone.now() - self.beat_at).total_seconds() // 60)
        ago = f"{minutes} min ago" if minutes else "less than a minute ago"
        return f"Catch-up {self} has stalled: last heartbeat {ago}. Check that a worker of the queue “follow” runs."


class LagSample(models.Model):
    """The lag at one moment: entries waiting, the age of the oldest in seconds, and entries applied since the sample before."""

    flow = models.ForeignKey(FlowStatus, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField(default=timezone.now)
    entries = models.PositiveBigIntegerField()
    seconds = models.FloatField()
    applied = models.PositiveBigIntegerField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["flow", "at"], name="lag_by_time")]

    def __str__(self) -> str:
        return f"{self.entries} at {self.at:%H:%M:%S}"
