"""Which system owns a tenant's writes, and which features are on for whom."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from waffle.managers import FlagManager
from waffle.models import AbstractUserFlag

from flags.decide import Definition, Subject, decide


class TenantHome(models.Model):
    """One tenant's home. `tenant` is its id in the IAM, `legacy_tenant` in legacy; a tenant without a row lives in legacy."""

    class Home(models.TextChoices):
        LEGACY = "legacy"
        IAM = "iam", "IAM"

    tenant = models.CharField(max_length=64, primary_key=True)
    legacy_tenant = models.CharField(max_length=64)
    name = models.CharField(max_length=255, blank=True)
    home = models.CharField(max_length=10, choices=Home.choices, default=Home.LEGACY)
    wave = models.CharField(max_length=100, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.CharField(max_length=150, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    left_legacy_at = models.PositiveBigIntegerField(default=0)
    """The last entry of legacy's capture queue when the tenant left legacy: what is captured later is a stray write."""
    left_legacy_snapshot = models.TextField(blank=True)
    """What legacy had committed then, as pg_current_snapshot() writes it: ids ignore the order of commits."""
    left_iam_at = models.PositiveBigIntegerField(default=0)
    left_iam_snapshot = models.TextField(blank=True)
    final = models.BooleanField(default=False)
    users = models.PositiveIntegerField(default=0)
    """How many the IAM had of it when they were last counted: to sort by."""
    reads_since = models.DateTimeField(null=True, blank=True)
    """Since when the IAM answers its reads although it lives in legacy, where it can: see `flags.reads`."""

    class Meta:
        ordering = ["name", "tenant"]
        verbose_name = "tenant"
        default_permissions = ("view",)
        indexes = [models.Index(fields=["home"], name="tenant_home")]

    def __str__(self) -> str:
        return self.name or self.tenant

    @classmethod
    def with_wave(cls, subject: Subject) -> Subject:
        """The subject with its tenant's wave, where it is not known yet."""
        if not subject.tenant or subject.wave:
            return subject
        wave = cls.objects.filter(pk=subject.tenant).values_list("wave", flat=True).first()
        return Subject(subject.user, subject.tenant, wave or "")

    @property
    def held(self) -> bool:
        """Its writes wait for a moment: it is being moved. For people; requests ask the database's clock."""
        return self.held_until is not None and self.held_until > timezone.now()


class CaughtUp(models.Model):
    """One row: what legacy committed until `at`, by this database's clock, is in the IAM, of these `tenants` (ids of the IAM)."""

    at = models.DateTimeField()
    tenants = ArrayField(models.CharField(max_length=64), default=list)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"until {self.at:%H:%M:%S}"


class Flags(FlagManager):
    """The flags, with waffle's own look-ups."""

    def definitions(self) -> dict[str, Definition]:
        """All flags by name, as they stand."""
        return {flag.name: flag.definition() for flag in self.prefetch_related("requires")}


class Flag(AbstractUserFlag):
    """A feature flag. What counts are the fields below; waffle's own are left at their defaults.

    `targets` and `excluded` hold `user:<id>` and `tenant:<id>`; `kind` says whose id the percentage hashes.
    """

    class Kind(models.TextChoices):
        USER = "user", "users"
        TENANT = "tenant", "tenants"

    superusers = models.BooleanField(default=False)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.USER)
    percentage = models.DecimalField(max_digits=6, decimal_places=3, default=0)
    bucket_group = models.CharField(max_length=100, blank=True)
    salt = models.CharField(max_length=50, blank=True)
    killed = models.BooleanField(default=False)
    derived = models.BooleanField(default=False)
    """Follows from the migration: nobody switches it. `met` is what was derived, `basis` from what."""
    met = models.BooleanField(default=False)
    basis = models.TextField(blank=True)
    requires = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="required_by")
    targets = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    excluded = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    waves = ArrayField(models.CharField(max_length=100), default=list, blank=True)

    objects: ClassVar[Flags] = Flags()  # type: ignore[assignment,misc]

    class Meta:
        ordering = ["name"]
        default_permissions = ("view",)
        permissions = [
            ("narrow_flag", "Can narrow and kill flags"),
            ("widen_flag", "Can widen and revive flags"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(percentage__gte=0, percentage__lte=100), name="flag_percentage_0_to_100"
            )
        ]

    def is_active(self, request: HttpRequest, read_only: bool = False) -> bool:
        """What waffle's own functions ask: for the subject that the API has put on the request."""
        subject = TenantHome.with_wave(getattr(request, "flag_subject", Subject()))
        return decide(Flag.objects.definitions(), self.name, subject).on

    def definition(self) -> Definition:
        """The flag as it stands, for `decide`."""
        return Definition(
            name=self.name,
            kind="tenant" if self.kind == Flag.Kind.TENANT else "user",
            percentage=self.percentage,
            group=self.bucket_group,
            salt=self.salt,
            killed=self.killed,
            requires=tuple(sorted(required.name for required in self.requires.all())),
            targets=frozenset(self.targets),
            excluded=frozenset(self.excluded),
            waves=frozenset(self.waves),
            derived=self.derived,
            met=self.met,
            basis=self.basis,
        )


class Maintenance(models.Model):
    """While one has not ended, the doors answer only what reads: see `flags.maintenance`."""

    began_at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150)
    reason = models.TextField()
    expected_until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("close_doors", "Can close the doors to writes, and open them")]
        constraints = [
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(ended_at=None), name="one_maintenance_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"Maintenance since {self.began_at:%Y-%m-%d %H:%M:%S} UTC"


class Ramp(models.Model):
    """A flag's percentage raised step by step by the clock, while all is well. `steps` are the percentages still to come."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        STOPPED = "stopped"

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="ramps")
    steps = ArrayField(models.DecimalField(max_digits=6, decimal_places=3))
    hours = models.FloatField()
    next_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    held = models.TextField(blank=True)
    """Why the step that is due is not taken; empty when it can be."""
    by = models.CharField(max_length=150)
    reason = models.TextField()
    started_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["flag"], condition=models.Q(state="running"), name="one_ramp_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.flag} to {self.steps[-1] if self.steps else 100} %"


class ScheduledChange(models.Model):
    """What a flag is to become at a given time.

    `values` are those of its fields that differ; `widens` is whether it was agreed to as reaching more people.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        MADE = "made"
        CANCELLED = "cancelled"
        MISSED = "missed"

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="scheduled")
    at = models.DateTimeField()
    values = models.JSONField(encoder=DjangoJSONEncoder)
    widens = models.BooleanField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    held = models.TextField(blank=True)
    """Why it is not made although it is due, or never was."""
    by = models.CharField(max_length=150)
    reason = models.TextField()
    asked_at = models.DateTimeField(default=timezone.now)
    last_seen = models.PositiveBigIntegerField(default=0)
    """The flag's last change when this was asked for."""
    made = models.OneToOneField("FlagChange", null=True, on_delete=models.SET_NULL, related_name="scheduled")

    class Meta:
        ordering = ["-at", "-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["at"], condition=models.Q(state="waiting"), name="scheduled_waiting")]

    def __str__(self) -> str:
        return f"{self.flag} at {self.at:%Y-%m-%d %H:%M} UTC"

    @property
    def summary(self) -> str:
        """What it sets, for people."""
        said = {
            name: ", ".join(value) or "nobody" if isinstance(value, list) else value
            for name, value in self.values.items()
        }
        return ", ".join(f"{name} → {value}" for name, value in said.items())

    @property
    def changed_since(self) -> FlagChange | None:
        """The flag's latest change that no schedule made and that whoever asked for this had not seen."""
        return self.flag.changes.filter(pk__gt=self.last_seen, scheduled=None).first()


class FlagChange(models.Model):
    """What was changed about a flag, by whom and why."""

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    before = models.JSONField()
    after = models.JSONField()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.flag} {self.at:%Y-%m-%d %H:%M:%S}"
