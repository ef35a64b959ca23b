"""What is not well now, as conditions for alerts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from flags.models import TenantHome
from migration_portal.approvals.models import Approval
from migration_portal.backups.models import Backup, Side
from migration_portal.monitoring.alerts import Condition
from migration_portal.monitoring.models import Alert, Sample
from migration_portal.monitoring.parts import parts
from migration_portal.monitoring.windows import wilson_lower, window

_WARNING, _CRITICAL = Alert.Severity.WARNING, Alert.Severity.CRITICAL
OF = "health:"
_DISK_PERCENT = 90
_LEAST_CALLS, _FAILING = 100, 0.05


def conditions() -> Iterator[Condition]:
    for part in parts():
        if part.trouble:
            yield Condition(f"{OF}part:{part.name}", _CRITICAL, f"{part.name}: {part.trouble}")
    yield from _disks()
    yield from _failures()
    yield from _backups()
    yield from _asked()


def _disks() -> Iterator[Condition]:
    lately = Sample.objects.filter(name="disk_percent", at__gt=timezone.now() - timedelta(minutes=5))
    for source, percent in dict(lately.values_list("source", "value")).items():
        if percent >= _DISK_PERCENT:
            yield Condition(
                f"{OF}disk:{source}", _WARNING, f"The disk of {source} is {percent:.0f} % full.", "Make room."
            )


def _failures() -> Iterator[Condition]:
    for home in TenantHome.Home:
        lately = window(since=timezone.now() - timedelta(minutes=5), home=str(home))
        if lately.calls >= _LEAST_CALLS and wilson_lower(lately.failures, lately.calls) > _FAILING:
            yield Condition(
                f"{OF}failing:{home}", _CRITICAL,
                f"{lately.failures:,} of {lately.calls:,} requests that {home.label} answered in five minutes failed.",
                "See Health for which endpoints, and the log of the web server for why.",
            )  # fmt: skip


def _asked() -> Iterator[Condition]:
    for waiting in Approval.objects.waiting():
        yield Condition(
            f"{OF}asked:{waiting.pk}", _WARNING,
            f"{waiting.requested_by} asks for a second person: {waiting.action.replace('_', ' ')}, {waiting.subject}.",
            f"Agree or reject under Approvals; it expires {waiting.expires_at:%Y-%m-%d %H:%M} UTC.",
        )  # fmt: skip


def _backups() -> Iterator[Condition]:
    for side in Side:
        last = Backup.objects.filter(side=side).first()
        if last is None:
            continue  # nobody has begun with it
        if last.error:
            yield Condition(
                f"{OF}backup:{side}", _WARNING, f"{last} failed: {last.error}", "Correct it, and back up again."
            )
        elif last.level is not None and last.checked_at and last.level < Backup.VALIDATED:
            finding = next((check.finding for check in last.checks.all() if check.finding), "")  # type: ignore[attr-defined]
            if finding:
                yield Condition(f"{OF}backup:{side}", _CRITICAL, f"{last} does not hold: {finding}.", "Back up again.")
