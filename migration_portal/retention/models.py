"""Legal holds: what of the audit log may not be archived, whatever its age."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from django.db import models
from django.db.models import Q


class Holds(models.QuerySet["Hold"]):
    def standing(self) -> Holds:
        """Those that nobody has released."""
        return self.filter(released_at=None)


class Hold(models.Model):
    """The days (UTC) from `since` on, to `until` where it has an end, are kept for `matter`."""

    matter = models.CharField(max_length=120)
    since = models.DateField()
    until = models.DateField(null=True, blank=True)
    reason = models.TextField()
    placed_by = models.CharField(max_length=150)
    placed_at = models.DateTimeField(auto_now_add=True)
    released_by = models.CharField(max_length=150, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    released_for = models.TextField(blank=True)

    objects = Holds.as_manager()

    class Meta:
        ordering = ("-id",)
        default_permissions = ()
        permissions = [("place_hold", "Can place a legal hold"), ("release_hold", "Can release a legal hold")]
        constraints = [
            models.UniqueConstraint("matter", condition=Q(released_at=None), name="one_standing_hold_of_a_matter")
        ]

    def __str__(self) -> str:
        return self.matter

    def covers(self, since: datetime, until: datetime) -> bool:
        """Whether anything between the two times is held."""
        ends = datetime.combine(self.until or date.max, time.max, UTC)
        return since <= ends and until >= datetime.combine(self.since, time.min, UTC)
