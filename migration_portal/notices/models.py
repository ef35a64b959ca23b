"""Templates, notices, and the ledger of who gets one: a row a recipient, whatever crashes."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class Kind(models.TextChoices):
    ANNOUNCEMENT = "announcement"
    MAINTENANCE = "maintenance"
    COMPLETION = "completion"


class Text(models.Model):
    """One template in one language: `$tenant`, `$name`, `$date` and `$legacy_until` are filled in for each recipient."""

    template = models.SlugField(max_length=60)
    language = models.CharField(max_length=10, default="en")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.ANNOUNCEMENT)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    html = models.TextField(blank=True)
    changed_by = models.CharField(max_length=150, blank=True)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["template", "language"]
        default_permissions = ("view", "change")
        constraints = [models.UniqueConstraint(fields=["template", "language"], name="one_text_a_language")]

    def __str__(self) -> str:
        return f"{self.template} ({self.language})"


class Notice(models.Model):
    """One message to an audience."""

    class State(models.TextChoices):
        PLANNED = "planned"
        SENDING = "sending"
        PAUSED = "paused"
        SENT = "sent"
        STOPPED = "stopped"

    name = models.CharField(max_length=100)
    template = models.SlugField(max_length=60)
    audience = models.JSONField(default=dict)
    """As notices/audience reads it."""
    mail = models.BooleanField(default=True)
    in_app = models.UUIDField(null=True, blank=True)
    """Its id in the IAM, where it is shown inside the applications, too."""
    until = models.DateTimeField(null=True, blank=True)
    """Until when it is shown there."""
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNED)
    starts_at = models.DateTimeField(default=timezone.now)
    expanded_at = models.DateTimeField(null=True, blank=True)
    """When every recipient had been written into the ledger."""
    ended_at = models.DateTimeField(null=True, blank=True)
    planned_by = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    error = models.TextField(blank=True)
    """Why it is not sent now, or was never."""

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("send_notice", "Can plan, pause and stop notices")]

    def __str__(self) -> str:
        return self.name


class Recipient(models.Model):
    """Somebody who is to get a notice by mail. `token` names them in links, and the message for mail servers."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        BOUNCED = "bounced"
        FAILED = "failed"
        SKIPPED = "skipped"

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="recipients")
    user = models.UUIDField()
    email = models.TextField()
    name = models.TextField(blank=True)
    tenant = models.CharField(max_length=64)
    language = models.CharField(max_length=10, default="en")
    token = models.UUIDField(default=uuid.uuid4, unique=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    claimed_at = models.DateTimeField(null=True, blank=True)
    perhaps_twice = models.BooleanField(default=False)
    """A worker died while it was being sent, or the server's answer was lost: it was sent once more."""
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["notice", "user"], name="one_notice_a_recipient")]
        indexes = [
            models.Index(fields=["notice", "state", "next_at"], name="notice_next"),
            # The next to claim is found at once, however many have been sent.
            models.Index(
                fields=["notice", "id"], condition=models.Q(state__in=["waiting", "sending"]), name="notice_open"
            ),
        ]

    def __str__(self) -> str:
        return self.email


class Unsubscribed(models.Model):
    """An address that wants no announcements."""

    email = models.TextField(unique=True)
    """In lower case."""
    at = models.DateTimeField(default=timezone.now)
    why = models.CharField(max_length=20, default="asked")

    class Meta:
        ordering = ["-at"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.email


class Completed(models.Model):
    """A tenant whose users have been told that it has moved for good."""

    tenant = models.CharField(max_length=64, primary_key=True)
    notice = models.ForeignKey(Notice, on_delete=models.PROTECT)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.tenant
