"""The matrix in its versions, every verdict with what it was made from, and what people complained about."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from migration_portal.rollback.matrix import Rule


class Matrix(models.Model):
    """One version of the rules; the youngest is in force."""

    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150)
    reason = models.TextField()
    rows = models.JSONField()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("change_rules", "Can change the rules of the decision matrix")]
        verbose_name_plural = "matrices"

    def __str__(self) -> str:
        return f"Version {self.pk}"

    @property
    def rules(self) -> list[Rule]:
        return [Rule(**row) for row in self.rows]


class Judgement(models.Model):
    """What the matrix said at one moment, and from what. Kept when it changes, and once an hour."""

    at = models.DateTimeField(default=timezone.now)
    matrix = models.ForeignKey(Matrix, on_delete=models.PROTECT)
    measured = models.JSONField()
    known = models.BooleanField()
    severity = models.CharField(max_length=10)
    action = models.CharField(max_length=20)
    reasons = models.JSONField(default=list)
    acted = models.TextField(blank=True)
    """What was done because of it, or would have been (in shadow mode)."""

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["at"], name="judgement_by_time")]

    def __str__(self) -> str:
        return f"{self.severity} at {self.at:%Y-%m-%d %H:%M:%S}"


class Complaint(models.Model):
    """One complaint of a user, however it came. Who complained is not kept, only whose tenant it was."""

    class About(models.TextChoices):
        SIGN_IN = "sign_in", "Signing in"
        DATA = "data", "Wrong or missing data"
        SLOW = "slow", "Slow"
        UI = "ui", "The user interface"
        OTHER = "other", "Something else"

    at = models.DateTimeField(default=timezone.now)
    about = models.CharField(max_length=10, choices=About.choices)
    tenant = models.CharField(max_length=64, blank=True)
    text = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=150)
    reference = models.CharField(max_length=100, blank=True, db_index=True)
    """The ticket's, where another system sent it: it counts once."""

    class Meta:
        ordering = ["-at"]
        default_permissions = ("view",)
        permissions = [("register_complaint", "Can register complaints of users")]
        constraints = [
            models.UniqueConstraint(fields=["reference"], condition=~models.Q(reference=""), name="complaint_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_about_display()} at {self.at:%Y-%m-%d %H:%M}"
