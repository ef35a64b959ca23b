"""The matrix in its versions, every verdict with what it was made from, what people complained about, and roll-backs."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from migration_portal.backups.models import Backup
from migration_portal.rollback.matrix import Rule
from migration_portal.rollback.plans import PHASES, TITLES, Kind


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


class Hold(models.Model):
    """While it lasts, the matrix judges and starts nothing by itself: a person knows more than the figures do."""

    at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    by = models.CharField(max_length=150)
    reason = models.TextField()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("hold_matrix", "Can keep the decision matrix from acting for a while")]

    def __str__(self) -> str:
        return f"Hold until {self.until:%Y-%m-%d %H:%M} UTC, by {self.by}"

    @classmethod
    def current(cls) -> Hold | None:
        last = cls.objects.first()
        return last if last is not None and last.until > timezone.now() else None


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


class NotNeeded(Exception):
    """An action that has nothing to do; the words say why."""


class Asks(Exception):
    """An action that goes on when a person has done something, or agrees; the words say to what."""


class Stopped(Exception):
    """Somebody has stopped the roll-back: nothing more is to be done."""


class RollBackQuerySet(models.QuerySet["RollBack"]):
    def under_way(self) -> RollBackQuerySet:
        return self.filter(ended_at=None)


class RollBack(models.Model):
    """One execution of a plan. Its steps are its journal: whoever goes on with it, after whatever, begins at the first that has
    not ended.
    """

    class Outcome(models.TextChoices):
        DONE = "done"
        STOPPED = "stopped"

    kind = models.CharField(max_length=20, choices=[(str(kind), kind.replace("_", " ")) for kind in Kind])
    rehearsal = models.BooleanField(default=False)
    """Changes nothing that anybody uses: what it restores, it drops again."""
    wave = models.CharField(max_length=100, blank=True)
    features = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    backup = models.ForeignKey(Backup, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    judgement = models.ForeignKey(Judgement, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    requested_at = models.DateTimeField(default=timezone.now)
    requested_by = models.CharField(max_length=150)
    reason = models.TextField()
    notes = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True)

    objects = RollBackQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [
            ("start_roll_back", "Can start, stop and rehearse roll-backs"),
            ("approve_roll_back", "Can approve and skip steps of a roll-back"),
        ]
        constraints = [
            models.UniqueConstraint(models.Value(1), condition=models.Q(ended_at=None), name="one_roll_back_at_a_time"),
        ]

    def __str__(self) -> str:
        return f"{'Rehearsal of a roll-back' if self.rehearsal else 'Roll-back'} {self.pk} ({self.get_kind_display()})"

    @property
    def state(self) -> str:
        if self.outcome:
            return self.outcome
        step = self.step
        return "running" if step is None or step.state in ("waiting", "running") else step.state

    @property
    def step(self) -> Step | None:
        """The first that has not ended."""
        return self.steps.exclude(state__in=Step.ENDED).first()  # type: ignore[attr-defined,no-any-return]

    @property
    def seconds(self) -> int:
        """That it took so far, or in all."""
        return round(((self.ended_at or timezone.now()) - self.requested_at).total_seconds())


class Step(models.Model):
    """One action of a roll-back. `detail` is what came of it, in words; `data` what it needs to go on with itself."""

    class State(models.TextChoices):
        WAITING = "waiting"
        ASKS = "asks"
        RUNNING = "running"
        DONE = "done"
        NOT_NEEDED = "not needed"
        SKIPPED = "skipped"
        FAILED = "failed"

    ENDED = ("done", "not needed", "skipped")

    of = models.ForeignKey(RollBack, on_delete=models.CASCADE, related_name="steps")
    ordinal = models.PositiveSmallIntegerField()
    phase = models.CharField(max_length=20, choices=list(PHASES.items()))
    action = models.CharField(max_length=30)
    asks = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    detail = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    decided_by = models.CharField(max_length=150, blank=True)
    reason = models.TextField(blank=True)
    began_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["ordinal"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["of", "ordinal"], name="step_once")]

    def __str__(self) -> str:
        return TITLES[self.action]

    @property
    def needs_person(self) -> bool:
        """Nothing goes on before somebody does something."""
        return self.state in (Step.State.FAILED, Step.State.ASKS) or bool(self.data.get("person"))

    def before(self, action: str) -> Step | None:
        """The step of the same roll-back with this action."""
        return self.of.steps.filter(action=action).first()  # type: ignore[attr-defined,no-any-return]

    def still_wanted(self) -> None:
        """Within a transaction: nobody stops the roll-back before its end. Raises Stopped."""
        if not RollBack.objects.under_way().select_for_update().filter(pk=self.of_id).exists():
            raise Stopped

    def tell(self, detail: str) -> None:
        """How far it is."""
        if detail != self.detail:
            self.detail = detail
            Step.objects.filter(pk=self.pk).update(detail=detail)

    def ask(self, detail: str) -> None:
        """Wait until a person agrees."""
        Step.objects.filter(pk=self.pk).update(state=Step.State.ASKS, detail=detail)

    def keep(self, **data: Any) -> None:
        """Remember it for the next turn, or the next worker."""
        self.data |= data
        Step.objects.filter(pk=self.pk).update(data=self.data)

    def end(self, state: str, detail: str) -> None:
        self.state, self.detail, self.ended_at = state, detail, timezone.now()
        Step.objects.filter(pk=self.pk).update(state=state, detail=detail, ended_at=self.ended_at)
