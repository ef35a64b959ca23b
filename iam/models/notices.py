"""What users are told inside the applications."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from iam.models.base import IamModel
from iam.models.organization import User


class InAppNotice(IamModel):
    """`subject` and `body` by language, with $name and $tenant for the reader's and $word for what `words` says; for users of these
    `tenants`, or all, who have this `role`, or any."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=20)
    subject = models.JSONField()
    body = models.JSONField()
    tenants = ArrayField(models.UUIDField(), null=True)
    role = models.TextField(null=True)
    words = models.JSONField(default=dict)
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "notices"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class NoticeRead(IamModel):
    pk = models.CompositePrimaryKey("user_id", "notice_id")
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    notice = models.ForeignKey(InAppNotice, on_delete=models.DO_NOTHING)
    read_at = models.DateTimeField(default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "notice_reads"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


def in_language(texts: dict[str, str], wanted: str | None) -> str:
    """In the language, or its base (de of de-AT), or English, or whatever there is."""
    wanted = (wanted or "en").lower().replace("_", "-")
    for language in (wanted, wanted.partition("-")[0], "en"):
        if language in texts:
            return texts[language]
    return next(iter(texts.values()), "")
