"""What the legacy endpoints record: each request, who uses what, and where the two systems answered differently."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class LegacyRequest(models.Model):
    """One request: never its body, its password or its token."""

    at = models.DateTimeField()
    request_id = models.CharField(max_length=64, db_index=True)
    method = models.CharField(max_length=10)
    endpoint = models.CharField(max_length=100)
    version = models.CharField(max_length=10)
    client = models.CharField(max_length=100)
    home = models.CharField(max_length=10)
    tenant = models.CharField(max_length=64, blank=True)
    user = models.CharField(max_length=64, blank=True)
    status = models.PositiveSmallIntegerField()
    milliseconds = models.FloatField()

    class Meta:
        ordering = ["-at", "-id"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["at"], name="legacy_request_at"),
            models.Index(fields=["tenant", "at"], name="legacy_request_tenant"),
            models.Index(fields=["user", "at"], name="legacy_request_user"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.endpoint} {self.status}"


class Usage(models.Model):
    """How often a client called an endpoint in a version on one day: on these facts the old version is ended."""

    day = models.DateField()
    client = models.CharField(max_length=100)
    version = models.CharField(max_length=10)
    endpoint = models.CharField(max_length=100)
    calls = models.PositiveBigIntegerField(default=0)
    failures = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-day", "client", "endpoint"]
        default_permissions = ("view",)
        verbose_name_plural = "usage"
        constraints = [
            models.UniqueConstraint(fields=["day", "client", "version", "endpoint"], name="usage_once"),
        ]

    def __str__(self) -> str:
        return f"{self.client} {self.endpoint} {self.day}"


class Mismatch(models.Model):
    """A field in which the IAM's answer differed from legacy's, of one endpoint; the values only where they are no secrets."""

    class State(models.TextChoices):
        OPEN = "open"
        IGNORED = "ignored"

    endpoint = models.CharField(max_length=100)
    field = models.CharField(max_length=200)
    count = models.PositiveBigIntegerField(default=0)
    first_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)
    tenant = models.CharField(max_length=64, blank=True)
    legacy = models.CharField(max_length=200, blank=True)
    iam = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    ignored_until = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=150, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-last_at"]
        default_permissions = ("view",)
        permissions = [("ignore_mismatch", "Can ignore contract mismatches for a while")]
        verbose_name_plural = "mismatches"
        constraints = [models.UniqueConstraint(fields=["endpoint", "field"], name="mismatch_once")]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.field}"

    @property
    def open(self) -> bool:
        """Not ignored, or ignored until a moment that has passed."""
        return self.ignored_until is None or self.ignored_until < timezone.now()


class Shadowed(models.Model):
    """How many reads of an endpoint were answered by both systems on one day, and how many alike."""

    day = models.DateField()
    endpoint = models.CharField(max_length=100)
    compared = models.PositiveBigIntegerField(default=0)
    alike = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["-day", "endpoint"]
        default_permissions = ("view",)
        verbose_name = "day of shadow reads"
        verbose_name_plural = "days of shadow reads"
        constraints = [models.UniqueConstraint(fields=["day", "endpoint"], name="shadowed_once")]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.day}"


class GivenUp(models.Model):
    """An endpoint that somebody has accepted nobody answers any more."""

    endpoint = models.CharField(max_length=200, primary_key=True)
    by = models.CharField(max_length=150)
    reason = models.TextField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["endpoint"]
        default_permissions = ("view",)
        permissions = [("give_up_endpoint", "Can accept that nobody answers a legacy endpoint")]
        verbose_name = "endpoint given up"
        verbose_name_plural = "endpoints given up"

    def __str__(self) -> str:
        return self.endpoint
