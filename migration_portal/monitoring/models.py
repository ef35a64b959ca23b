"""What was measured: minutes of calls, samples of hosts and databases, baselines, heartbeats; and the alerts that came of it."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Minute(models.Model):
    """The calls of one endpoint that one home answered in one minute. `buckets` are those of legacy_compat/histograms.py."""

    at = models.DateTimeField()
    home = models.CharField(max_length=10)
    endpoint = models.CharField(max_length=110)
    ok = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    timed_out = models.PositiveIntegerField(default=0)
    milliseconds = models.FloatField(default=0)
    buckets = models.JSONField(default=dict)

    class Meta:
        ordering = ["at"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["at", "home", "endpoint"], name="minute_once")]

    def __str__(self) -> str:
        return f"{self.endpoint} at {self.at:%Y-%m-%d %H:%M}"


class Sample(models.Model):
    """One figure of a host or a database at one moment: the share of a processor, sessions, entries of a queue."""

    at = models.DateTimeField(default=timezone.now)
    source = models.CharField(max_length=40)
    name = models.CharField(max_length=40)
    value = models.FloatField()

    class Meta:
        ordering = ["at"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["source", "name", "at"], name="sample_by_time")]

    def __str__(self) -> str:
        return f"{self.source} {self.name}: {self.value:g}"


class Baseline(models.Model):
    """How an endpoint did before a wave: what it is compared with afterwards. Taken from legacy's answers."""

    wave = models.CharField(max_length=100, blank=True)
    taken_at = models.DateTimeField(default=timezone.now)
    endpoint = models.CharField(max_length=110, blank=True)
    """Empty: all of them together."""
    calls = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    p95 = models.FloatField()

    class Meta:
        ordering = ["-taken_at", "endpoint"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.endpoint or 'All endpoints'} before {self.wave or 'a wave'}"


class Heartbeat(models.Model):
    """When a part of the product was last seen at work."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class AlertQuerySet(models.QuerySet[Any]):
    def open(self) -> Self:
        return self.filter(resolved_at=None)

    def loud(self) -> Self:
        """Those that somebody should look at now."""
        return (
            self.open()
            .filter(acknowledged_at=None)
            .filter(Q(silenced_until=None) | Q(silenced_until__lt=timezone.now()))
        )


class Alert(models.Model):
    """One condition from when it began to when it ended, however often it was seen: `key` names the condition."""

    class Severity(models.TextChoices):
        WARNING = "warning"
        CRITICAL = "critical"

    key = models.CharField(max_length=200)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    what = models.TextField()
    todo = models.TextField(blank=True)
    began_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    silenced_until = models.DateTimeField(null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-began_at"]
        default_permissions = ("view",)
        permissions = [("acknowledge_alert", "Can acknowledge and silence alerts")]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(resolved_at=None), name="one_open_alert_of_a_condition"
            ),
        ]

    def __str__(self) -> str:
        return self.what

    @property
    def state(self) -> str:
        if self.resolved_at:
            return "resolved"
        if self.silenced_until and self.silenced_until > timezone.now():
            return "silenced"
        return "acknowledged" if self.acknowledged_at else "open"


class Delivery(models.Model):
    """One message about an alert to one place, until it has arrived or was given up."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    place = models.CharField(max_length=500)
    """mailto:… or the URL of a webhook."""
    event = models.CharField(max_length=10)
    """`began` or `resolved`."""
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["alert", "place", "event"], name="one_delivery_of_an_event"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.place}"
