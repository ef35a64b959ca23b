"""What a user is told inside an application, and that it was read."""

from __future__ import annotations

import uuid
from datetime import datetime
from string import Template
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Router, Schema, Status

from flags import maintenance
from iam.api.access import Token, caller
from iam.api.auth import ERRORS
from iam.api.problems import ProblemOut
from iam.models import InAppNotice, NoticeRead, User, in_language
from iam.permissions import roles_of

_MOST = 50
router = Router(tags=["notices"], auth=Token())


class Notice(Schema):
    id: uuid.UUID
    kind: str
    subject: str
    body: str
    starts_at: datetime
    ends_at: datetime | None
    read: bool


class Notices(Schema):
    """`maintenance` is a sentence while the doors are closed to writes, for a banner."""

    items: list[Notice]
    maintenance: str | None


@router.get("", response={200: Notices, ERRORS: ProblemOut})
def current(request: HttpRequest) -> dict[str, Any]:
    """Notices for the caller that are current, newest first, in their language."""
    user = caller(request, "profile:read")
    read = set(NoticeRead.objects.filter(user=user).values_list("notice_id", flat=True))
    items = [
        {
            "id": each.pk, "kind": each.kind, "subject": _filled(each.subject, each.words, user),
            "body": _filled(each.body, each.words, user), "starts_at": each.starts_at, "ends_at": each.ends_at,
            "read": each.pk in read,
        }
        for each in _for(user)[:_MOST]
    ]  # fmt: skip
    closed = maintenance.current()
    return {
        "items": items,
        "maintenance": "The system is being maintained: nothing can be changed now." if closed else None,
    }


@router.post("/{uuid:notice_id}/read", response={204: None, ERRORS: ProblemOut})
def mark_read(request: HttpRequest, notice_id: uuid.UUID) -> Status:
    user = caller(request, "profile:read")
    notice = get_object_or_404(_for(user), pk=notice_id)
    NoticeRead.objects.bulk_create([NoticeRead(user=user, notice=notice)], ignore_conflicts=True)
    return Status(204, None)


def _filled(texts: dict[str, str], words: dict[str, str], user: User) -> str:
    own = {"name": user.full_name or user.username or "", "tenant": user.tenant.name or ""}
    return Template(in_language(texts, user.preferred_language)).safe_substitute(words | own)


def _for(user: User) -> Any:
    now = timezone.now()
    theirs = Q(tenants=None) | Q(tenants__contains=[user.tenant_id])
    theirs &= Q(role=None) | Q(role__in=roles_of(user).values("name"))
    lasting = Q(ends_at=None) | Q(ends_at__gt=now)
    return InAppNotice.objects.filter(theirs, lasting, starts_at__lte=now).order_by("-starts_at", "pk")
