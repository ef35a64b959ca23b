"""Backups, the checks of them, restorations, and what was written since."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from migration_portal.backups.work import Work, WorkQuerySet


class Side(models.TextChoices):
    LEGACY = "legacy", "Legacy"
    IAM = "iam", "IAM"
    PORTAL = "portal", "Portal"


class BackupQuerySet(WorkQuerySet):
    def kept(self) -> Self:
        """Those that are whole, and still there."""
        return self.exclude(finished_at=None).filter(error="", removed_at=None)

    def validated(self, side: str) -> Self:
        return self.kept().filter(side=side, level=Backup.VALIDATED)

    def missing(self) -> str:
        """What a cut-over lacks: a validated backup of legacy that is young enough. Empty where nothing is missing."""
        if not settings.BACKUP_FRESH_HOURS:
            return ""
        last = self.validated(Side.LEGACY).first()
        if last is None:
            return "Legacy has no validated backup. Back it up, and verify the backup up to level 3."
        if last.fresh:
            return ""
        return (
            f"The last validated backup of legacy is older than {settings.BACKUP_FRESH_HOURS:g} h. "
            "Back it up again, and verify the backup up to level 3."
        )


class Backup(Work):
    """One backup of one side. `manifest` is as it was signed; `level` is what its last check reached (0 to 3)."""

    VALIDATED: ClassVar[int] = 3
    PHASES: ClassVar[dict[str, float]] = {"dump": 0.75, "files": 0.05, "store": 0.2}

    side = models.CharField(max_length=10, choices=Side.choices)
    place = models.CharField(max_length=100, unique=True)
    """Its directory in the store: the same for every attempt, or a dead one would leave files behind."""
    reason = models.TextField(blank=True)
    manifest = models.JSONField(default=dict)
    bytes = models.BigIntegerField(default=0)
    level = models.SmallIntegerField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    kept_for = models.CharField(max_length=100, blank=True)
    """What still needs it: it is not pruned."""

    objects = BackupQuerySet.as_manager()  # type: ignore[misc]

    class Meta(Work.Meta):
        default_permissions = ("view",)
        permissions = [("back_up", "Can back up a side, and verify its backups")]
        constraints = [
            models.UniqueConstraint(fields=["side"], condition=Q(finished_at=None), name="one_backup_of_a_side"),
        ]

    def __str__(self) -> str:
        return f"Backup {self.pk} of {self.get_side_display()}"

    @property
    def taken_at(self) -> datetime | None:
        """When its snapshot was taken: what was written later is not in it."""
        at = self.manifest.get("snapshot_at")
        return datetime.fromisoformat(at) if at else None

    @property
    def state(self) -> str:
        if self.finished_at is None:
            return "running" if self.started_at else "requested"
        if self.error:
            return "failed"
        return "removed" if self.removed_at else "done"

    @property
    def fresh(self) -> bool:
        """Validated, and young enough for a cut-over."""
        hours = settings.BACKUP_FRESH_HOURS
        if not hours or self.taken_at is None:
            return not hours
        return self.level == self.VALIDATED and timezone.now() - self.taken_at < timedelta(hours=hours)


class Check(Work):
    """One check of a backup, up to `level`. `reached` is the highest level that held; `finding` says what did not."""

    PHASES: ClassVar[dict[str, float]] = {"hashes": 0.1, "fetch": 0.1, "restore": 0.6, "compare": 0.2}

    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="checks")
    level = models.SmallIntegerField()
    reached = models.SmallIntegerField(null=True, blank=True)
    finding = models.TextField(blank=True)

    class Meta(Work.Meta):
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"Level {self.level} of {self.backup}"

    @property
    def state(self) -> str:
        if self.finished_at is None:
            return "running" if self.started_at else "requested"
        return "ok" if self.reached == self.level else "failed"


class Restoration(Work):
    """A backup restored into a new database, and what became of it: compared, swapped with the side's, or dropped."""

    PHASES: ClassVar[dict[str, float]] = {"fetch": 0.15, "restore": 0.65, "compare": 0.2}

    backup = models.ForeignKey(Backup, on_delete=models.PROTECT, related_name="restorations")
    into = models.CharField(max_length=63)
    reason = models.TextField(blank=True)
    finding = models.TextField(blank=True)
    kept_as = models.CharField(max_length=63, blank=True)
    swapped_at = models.DateTimeField(null=True, blank=True)
    swapped_by = models.CharField(max_length=150, blank=True)
    listed_at = models.DateTimeField(null=True, blank=True)
    dropped_at = models.DateTimeField(null=True, blank=True)

    class Meta(Work.Meta):
        default_permissions = ("view",)
        permissions = [
            ("restore_backup", "Can restore a backup into a new database"),
            ("swap_database", "Can put a restored database in the place of a side's"),
        ]

    def __str__(self) -> str:
        return f"Restoration {self.pk} of {self.backup}"

    @property
    def state(self) -> str:
        if self.dropped_at:
            return "dropped"
        if self.swapped_at:
            return "swapped"
        if self.finished_at is None:
            return "running" if self.started_at else "requested"
        return "failed" if self.error or self.finding else "restored"


class Reconciliation(Work):
    """Listing what was written since a swapped backup (no tenants), or bringing back what some tenants got."""

    PHASES: ClassVar[dict[str, float]] = {"compare": 0.6, "bring back": 0.4}

    restoration = models.ForeignKey(Restoration, on_delete=models.CASCADE, related_name="reconciliations")
    tenants = models.JSONField(default=list)
    removals = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    rows = models.BigIntegerField(default=0)

    class Meta(Work.Meta):
        default_permissions = ("view",)
        permissions = [("reconcile_restoration", "Can decide what becomes of writes since a restored backup")]

    def __str__(self) -> str:
        return f"Reconciliation {self.pk} of {self.restoration}"


class Written(models.Model):
    """What one tenant's table got since the backup: rows of the database that was put aside, against the restored one."""

    class Decision(models.TextChoices):
        OPEN = "open"
        TAKEN = "taken"
        LEFT = "left"

    restoration = models.ForeignKey(Restoration, on_delete=models.CASCADE, related_name="written")
    tenant = models.CharField(max_length=64, blank=True)
    table = models.CharField(max_length=130)
    added = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)
    removed = models.BigIntegerField(default=0)
    decision = models.CharField(max_length=10, choices=Decision.choices, default=Decision.OPEN)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["tenant", "table"]
        default_permissions = ("view",)
        verbose_name_plural = "written since a backup"
        constraints = [
            models.UniqueConstraint(fields=["restoration", "tenant", "table"], name="written_once"),
        ]

    def __str__(self) -> str:
        return f"{self.table} of {self.tenant or 'nobody'}"
