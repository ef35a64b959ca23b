"""Is a licence good? One judgement for every door."""

from __future__ import annotations

import calendar
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import NamedTuple

from iam.models import License, Subscription, SubscriptionPlan, Tenant


def find(key: str) -> License | None:
    """The licence with this key, and its tenant. Composed once, as in `bearers`: this is asked more than anything else."""
    if "\0" in key:  # no text in PostgreSQL holds it
        return None
    licence: License | None = next(iter(License.objects.raw(_statement(), [key])), None)
    if licence is not None and licence.tenant_id is not None:
        active = licence.tenant_is_active  # type: ignore[attr-defined]
        licence.tenant = Tenant(pk=licence.tenant_id, is_active=active)
    return licence


@cache
def _statement() -> str:
    return (
        f"SELECT {License.columns('l')}, t.is_active AS tenant_is_active"
        " FROM licenses AS l LEFT JOIN tenants AS t ON t.id = l.tenant_id WHERE l.license_key = %s"
    )


class Judgement(Enum):
    VALID = ""
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    INACTIVE = "inactive"
    EARLY = "early"
    """Its time has not come yet."""
    SUBSCRIPTION = "subscription"
    """The subscription it is linked to is not active."""
    UNJUDGED = "unjudged"
    """It is linked to a subscription that nobody here knows, or has no dates at all: not good until somebody who knows says so."""


@dataclass(frozen=True)
class Terms:
    """From when and for how long a licence is good: by its subscription where it is linked to one, else by its own dates."""

    issued_at: datetime | None
    validity_days: int | None
    ends: datetime | None
    subscription: Subscription | None = None


def subscription_of(licence: License) -> Subscription | None:
    return subscriptions_of([licence]).get(licence.linked_subscription or "")


def subscriptions_of(licences: Iterable[License]) -> dict[str, Subscription]:
    """By what the licences are linked to; without those that are not known."""
    named = (licence.linked_subscription or "" for licence in licences)
    linked = {name for name in named if _UUID.fullmatch(name)}
    found = {str(each.pk): each for each in Subscription.objects.filter(pk__in=linked)} if linked else {}
    return {name: found[name.lower()] for name in linked if name.lower() in found}


_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def terms(licence: License, subscription: Subscription | None) -> Terms:
    """A subscription without an end goes on; the released service then tells the days of the month or year it began in."""
    if subscription is None:
        return Terms(licence.issued_at, licence.validity_days, _expiry(licence))
    begins, ends = subscription.issue_date, subscription.end_date
    if begins is None:
        return Terms(None, None, ends, subscription)
    if ends is not None:
        return Terms(begins, (ends - begins).days, ends, subscription)
    yearly = _interval(subscription) == "yearly"
    days = 365 + calendar.isleap(begins.year) if yearly else calendar.monthrange(begins.year, begins.month)[1]
    return Terms(begins, days, None, subscription)


def _interval(subscription: Subscription) -> str:
    try:
        plan = uuid.UUID(subscription.plan_id or "")
    except ValueError:
        return ""
    return SubscriptionPlan.objects.filter(pk=plan).values_list("billing_interval", flat=True).first() or ""


def _expiry(licence: License) -> datetime | None:
    """Judged by its own issue date and validity: the released service failed on a licence without a subscription."""
    if licence.issued_at is None or licence.validity_days is None:
        return None
    try:
        return licence.issued_at + timedelta(days=licence.validity_days)
    except OverflowError:
        return None  # so far away that no calendar has it


class Verdict(NamedTuple):
    """Terms are None of a licence that there is not."""

    judgement: Judgement
    terms: Terms | None


def judge(licence: License | None, now: datetime) -> Verdict:
    """Of a licence that came with its tenant."""
    if licence is None:
        return Verdict(Judgement.UNKNOWN, None)
    linked = licence.linked_subscription is not None
    subscription = subscription_of(licence) if linked else None
    found = terms(licence, subscription)
    if licence.tenant is None or not licence.tenant.is_active:
        return Verdict(Judgement.INACTIVE, found)
    if subscription is None and (linked or licence.issued_at is None):
        return Verdict(Judgement.UNJUDGED, found)
    if subscription is not None and subscription.status != "active":
        return Verdict(Judgement.SUBSCRIPTION, found)
    if found.issued_at is not None and found.issued_at > now:
        return Verdict(Judgement.EARLY, found)
    if found.ends is not None and found.ends <= now:
        return Verdict(Judgement.EXPIRED, found)
    return Verdict(Judgement.VALID, found)
