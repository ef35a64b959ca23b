"""What somebody asked for that a second person has to agree to."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Approvals(models.QuerySet["Approval"]):
    def waiting(self) -> Approvals:
        """Those that somebody can still decide about."""
        return self.filter(decision=Approval.Decision.NONE, expires_at__gt=timezone.now())


class Approval(models.Model):
    """One action on one thing, asked for by one person. `impact` is what it would have done when it was asked for."""

    class Decision(models.TextChoices):
        NONE = "", "not decided"
        AGREED = "agreed"
        REJECTED = "rejected"
        WITHDRAWN = "withdrawn"
        EXPIRED = "expired"

    action = models.CharField(max_length=40)
    arguments = models.JSONField(default=dict)
    subject = models.CharField(max_length=200)
    place = models.CharField(max_length=300)
    """The page of what it is about."""
    impact = models.JSONField(default=list)
    reason = models.TextField()
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    decision = models.CharField(max_length=10, choices=Decision, blank=True, default=Decision.NONE)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    remark = models.TextField(blank=True)
    outcome = models.TextField(blank=True)
    failed = models.BooleanField(default=False)

    objects = Approvals.as_manager()

    class Meta:
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = [("ask_approval", "Can ask a second person for an approval")]
        constraints = [
            models.UniqueConstraint("action", "place", condition=Q(decision=""), name="one_open_approval_of_an_action")
        ]

    def __str__(self) -> str:
        return f"Approval {self.pk}"

    @property
    def state(self) -> str:
        if self.decision == self.Decision.NONE:
            return "expired" if self.expires_at <= timezone.now() else "open"
        if self.decision != self.Decision.AGREED:
            return self.decision
        return "failed" if self.failed else "done" if self.outcome else "agreed"
