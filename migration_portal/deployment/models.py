"""Plans with their phases and tasks, and whom to call."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone


class Plan(models.Model):
    """Made from a template; from then on its own."""

    name = models.CharField(max_length=100, unique=True)
    template = models.CharField(max_length=40)
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [
            ("work_plan", "Can make plans, and do their tasks"),
            ("override_gate", "Can pass a gate that is not green"),
        ]

    def __str__(self) -> str:
        return self.name


class Phase(models.Model):
    """`gate` are names of checks; `results` what they said when the phase passed, or was asked to."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="phases")
    order = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=100)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    gate = models.JSONField(default=list)
    results = models.JSONField(default=list)
    passed_at = models.DateTimeField(null=True, blank=True)
    passed_by = models.CharField(max_length=150, blank=True)
    override = models.TextField(blank=True)
    """Why an approver let it pass although it was not green."""
    overrides = models.JSONField(default=list)
    """Each time that was so, with who, when and why: it stays visible when the phase is opened again."""

    class Meta:
        ordering = ["order"]
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["plan", "order"], name="one_phase_a_place")]

    def __str__(self) -> str:
        return self.name

    @property
    def dialogs(self) -> dict[str, str]:
        """Names of its dialogs on the page."""
        return {verb: f"{verb}-{self.pk}" for verb in ("override", "reopen")}


class Task(models.Model):
    """`check_name` proves it, where there is one; `results` is what the check said each time, the last one first."""

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="tasks")
    order = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=60, blank=True)
    owner = models.CharField(max_length=150, blank=True)
    due_at = models.DateTimeField()
    check_name = models.CharField(max_length=40, blank=True)
    results = models.JSONField(default=list)
    note = models.TextField(blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.CharField(max_length=150, blank=True)
    signed_at = models.DateTimeField(null=True, blank=True)
    signed_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["order"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    @property
    def last(self) -> dict[str, Any] | None:
        """What its check said last."""
        return self.results[0] if self.results else None

    @property
    def dialog(self) -> str:
        """The name of its dialog on the page."""
        return f"done-{self.pk}"

    @property
    def late(self) -> bool:
        return self.done_at is None and self.due_at < timezone.now()


class Contact(models.Model):
    """Whom to call, by role."""

    role = models.CharField(max_length=60)
    name = models.CharField(max_length=150)
    reach = models.CharField(max_length=200)
    """A telephone number or an address."""
    on_duty = models.BooleanField(default=False)

    class Meta:
        ordering = ["role", "-on_duty", "name"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["role", "name"], name="one_contact_a_role")]

    def __str__(self) -> str:
        return f"{self.name} ({self.role})"
