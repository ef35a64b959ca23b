"""The stretches of the log: partitions by id. The last is open; it is closed when a month ends, to be archived whole one day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from django.db import OperationalError, connection, transaction
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

from migration_portal.audit.models import Event
from migration_portal.engine.queries import named
from migration_portal.refusal import Refusal

log = structlog.get_logger(__name__)
_QUERIES = named(Path(__file__).parent / "audit.sql")


@dataclass(frozen=True)
class Stretch:
    """The events of the ids `first` to `last`, of times between `since` and `until`; `size` is in bytes, with its indexes.

    `name` is its partition's. Of the open one more come.
    """

    name: str
    size: int
    open: bool
    first: int
    last: int
    since: datetime
    until: datetime

    def __str__(self) -> str:
        return f"Events {self.first:,} to {self.last:,}"

    def events(self) -> QuerySet[Event]:
        """In the chain's order."""
        return Event.objects.filter(id__gte=self.first, id__lte=self.last).order_by("id")


def stretches() -> Sequence[Stretch]:
    """Those that have events, in the chain's order."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERIES["stretches"].as_string(None))
        found = [_stretch(*row) for row in cursor.fetchall()]
    return [stretch for stretch in found if stretch]


def _stretch(name: str, size: int, begins: int | None, ends: int | None) -> Stretch | None:
    events = Event.objects.all() if begins is None else Event.objects.filter(id__gte=begins)
    if ends is not None:
        events = events.filter(id__lt=ends)
    found = events.order_by().aggregate(first=Min("id"), last=Max("id"), since=Min("at"), until=Max("at"))
    return Stretch(name, size, ends is None, **found) if found["first"] is not None else None


def cut_monthly() -> bool:
    """Close the open stretch if it has events of an earlier month (UTC), and open another. Returns whether it did.

    Raises Refusal while the log is read and does not let go.
    """
    latest = stretches()[-1:]
    month = timezone.now().astimezone(UTC).strftime("%Y-%m")
    if not latest or not latest[0].open or latest[0].since.astimezone(UTC).strftime("%Y-%m") >= month:
        return False
    with alone(), connection.cursor() as cursor:
        cursor.execute("SELECT audit_event_cut()")
    log.info("audit_stretch_closed", stretch=latest[0].name)
    return True


@contextmanager
def alone() -> Iterator[None]:
    """A transaction that may cut or remove a stretch. Raises Refusal while somebody reads the log and does not let go.

    It gives up sooner than a server looks for deadlocks (1 s), and so is never the reason why another is ended.
    """
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '500ms'")
            yield
    except OperationalError as error:
        raise Refusal(
            "The log is being read.", subject="audit log", todo="Wait for the export or search to end; then ask again."
        ) from error
