"""Rehearsals of the whole migration: what was measured, and what that says about production."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from migration_portal.backups.models import Backup
from migration_portal.backups.work import Work


class Rehearsal(Work):
    """One rehearsal on a restored backup of legacy. `measured` is what happened on its stage; `production` what was known of
    production at the same time; see `forecast` for what follows from both.
    """

    PHASES: ClassVar[dict[str, float]] = {
        "fetch": 0.05, "restore": 0.25, "prepare": 0.1, "copy": 0.4, "catch up": 0.1, "move": 0.1,
    }  # fmt: skip

    backup = models.ForeignKey(Backup, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    tenants = models.PositiveSmallIntegerField()
    measured = models.JSONField(default=dict)
    production = models.JSONField(default=dict)

    class Meta(Work.Meta):
        default_permissions = ("view",)
        permissions = [("rehearse", "Can rehearse the whole migration")]
        constraints = [
            models.UniqueConstraint(models.Value(1), condition=Q(finished_at=None), name="one_rehearsal_at_a_time"),
        ]

    def __str__(self) -> str:
        return f"Rehearsal {self.pk}"

    @property
    def state(self) -> str:
        if self.finished_at is None:
            return "running" if self.started_at else "requested"
        return "failed" if self.error else "done"
