"""Alerts: a condition is told once when it begins and once when it ends, however often it is seen in between."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog
import urllib3
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from migration_portal.audit import chain
from migration_portal.monitoring.models import Alert, Delivery
from migration_portal.refusal import Refusal, require_reason

log = structlog.get_logger(__name__)
ROLL_BACK = "rollback:"
"""How the keys of what the decision matrix says begin: while one is open no tenant is cut over."""
NEWS = "news:"
"""How the keys of what is only told begin."""
_ATTEMPTS = 6
_FIRST_WAIT = 10.0
"""Seconds after the first failure; four times as long after each."""
_pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=5), retries=False)


@dataclass(frozen=True)
class Condition:
    """Something that is not well now. `key` is the same for as long as it is the same trouble."""

    key: str
    severity: str
    what: str
    todo: str = ""


def tell(conditions: Iterable[Condition], *, of: str) -> None:
    """Open what is new, refresh what goes on, resolve what is over: among the conditions whose keys begin with `of`."""
    now_true = {condition.key: condition for condition in conditions}
    with transaction.atomic():
        there = {alert.key: alert for alert in Alert.objects.open().filter(key__startswith=of).select_for_update()}
        for key, condition in now_true.items():
            if alert := there.get(key):
                Alert.objects.filter(pk=alert.pk).update(seen_at=Now(), what=condition.what, todo=condition.todo)
            else:
                _announce(
                    Alert.objects.create(
                        key=key, severity=condition.severity, what=condition.what, todo=condition.todo
                    ),
                    "began",
                )
        for key, alert in there.items():
            if key not in now_true:
                Alert.objects.filter(pk=alert.pk).update(resolved_at=Now())
                _announce(alert, "resolved")


def inform(what: str, details: str = "", *, key: str = "") -> int:
    """Tell it once: there is nothing that could end. Returns how many places are told."""
    now = timezone.now()
    made = Alert.objects.create(
        key=key or f"{NEWS}{uuid.uuid4()}", severity=Alert.Severity.WARNING, what=what, todo=details, acknowledged_at=now,
        resolved_at=now,
    )  # fmt: skip
    _announce(made, "began")
    return len(settings.ALERT_PLACES)


def acknowledge(alert: Alert, *, by: str) -> None:
    """Somebody is looking at it. Raises Refusal when it is over."""
    with transaction.atomic():
        if (
            not Alert.objects.open()
            .filter(pk=alert.pk, acknowledged_at=None)
            .update(acknowledged_at=Now(), acknowledged_by=by)
        ):
            raise Refusal("It is over, or acknowledged already.", subject=str(alert))
        chain.record("acknowledge_alert", of=alert, by=by, data={"key": alert.key[:100]})


def silence(alert: Alert, *, hours: int, by: str, reason: str) -> None:
    """Send nothing about it for so long. Raises Refusal."""
    require_reason(reason, to="Silencing", subject=str(alert))
    with transaction.atomic():
        until = timezone.now() + timedelta(hours=hours)
        if not Alert.objects.open().filter(pk=alert.pk).update(silenced_until=until):
            raise Refusal("It is over.", subject=str(alert))
        about = {"key": alert.key[:100], "until": until.isoformat(timespec="minutes")}
        chain.record("silence_alert", of=alert, by=by, reason=reason, data=about)


def deliver() -> int:
    """Send what is due, each by one worker at a time. Returns how many arrived."""
    arrived = 0
    due = Delivery.objects.filter(delivered_at=None, attempts__lt=_ATTEMPTS, next_at__lte=Now())
    for pk in due.values_list("pk", flat=True):
        with transaction.atomic():
            found = (
                Delivery.objects.select_for_update(skip_locked=True, of=("self",)).select_related("alert").filter(pk=pk)
            )
            delivery = found.filter(delivered_at=None).first()
            if delivery is not None:
                arrived += _attempt(delivery)
    return arrived


def signature(secret: str, moment: str, body: bytes) -> str:
    """What a receiver computes again: HMAC-SHA256 over the moment, a dot and the body, hexadecimal."""
    return hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def _announce(alert: Alert, event: str) -> None:
    log.warning("alert", key=alert.key, severity=alert.severity, what=alert.what, happened=event)
    if alert.silenced_until and alert.silenced_until > timezone.now():
        return
    Delivery.objects.bulk_create(
        [Delivery(alert=alert, place=place, event=event) for place in settings.ALERT_PLACES], ignore_conflicts=True
    )


def _attempt(delivery: Delivery) -> bool:
    try:
        if delivery.place.startswith("mailto:"):
            _by_mail(delivery)
        else:
            _by_webhook(delivery)
    except (OSError, urllib3.exceptions.HTTPError, Refusal) as error:
        wait = timedelta(seconds=_FIRST_WAIT * 4**delivery.attempts)
        delivery.attempts, delivery.next_at, delivery.error = (
            delivery.attempts + 1,
            timezone.now() + wait,
            str(error)[:500],
        )
        delivery.save()
        log.warning("alert_not_delivered", attempts=delivery.attempts, error=delivery.error)
        return False
    delivery.attempts, delivery.delivered_at, delivery.error = delivery.attempts + 1, timezone.now(), ""
    delivery.save()
    return True


def _by_mail(delivery: Delivery) -> None:
    alert = delivery.alert
    over = "Resolved: " if delivery.event == "resolved" else ""
    text = f"{alert.what}\n\n{alert.todo}\n\nSince {alert.began_at:%Y-%m-%d %H:%M:%S} UTC.\n"
    send_mail(f"[Sigma Transit] {over}{alert.what[:150]}", text, None, [delivery.place.removeprefix("mailto:")])


def _by_webhook(delivery: Delivery) -> None:
    alert, moment = delivery.alert, str(int(time.time()))
    body = json.dumps({
        "id": alert.pk, "event": delivery.event, "key": alert.key, "severity": alert.severity, "what": alert.what,
        "todo": alert.todo, "began_at": alert.began_at.isoformat(),
    }).encode()  # fmt: skip
    headers = {"Content-Type": "application/json", "X-Sigma-Timestamp": moment}
    if settings.ALERT_SECRET:
        headers["X-Sigma-Signature"] = f"sha256={signature(settings.ALERT_SECRET, moment, body)}"
    answer = _pool.request("POST", delivery.place, body=body, headers=headers, redirect=False)
    if answer.status >= 300:
        raise Refusal(f"It answered {answer.status}.", subject=delivery.place)
