"""Sessions, what has ended, and the keys that tokens are signed with."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from django.db import models
from django.utils import timezone

from iam.models.base import IamModel
from iam.models.organization import User


class SigningKey(IamModel):
    """A key of the new API's tokens: its public half as a JWK, the private one encrypted."""

    kid = models.CharField(max_length=64, primary_key=True)
    public_jwk = models.JSONField()
    private_jwk_encrypted = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(IamModel.Meta):
        db_table = "signing_keys"
        default_permissions = ()

    def __str__(self) -> str:
        return self.kid


class EndedSessions(IamModel):
    """When the last change of password or account ended all of a user's sessions; for tokens that have none here."""

    user_id = models.UUIDField(primary_key=True)
    ended_at = models.DateTimeField()
    kept = models.DateTimeField(null=True)
    """When the tokens of legacy's were issued that go on, of who changed the password with them."""

    class Meta(IamModel.Meta):
        db_table = "ended_sessions"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


class Session(IamModel):
    """A signed-in user, by tokens or in a browser. `session_id` names the family of its refresh tokens.

    `device_info` holds `jti`, the refresh token that is good now; `amr`, how the user showed who they are (RFC 8176: pwd,
    otp, or fed for another provider), and `auth_time`, when.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING)
    session_id = models.CharField(max_length=255)
    device_info = models.JSONField(null=True)
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.TextField(null=True)
    location = models.JSONField(null=True)
    is_active = models.BooleanField(null=True, default=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_activity = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta(IamModel.Meta):
        db_table = "user_sessions"
        default_permissions = ()

    def __str__(self) -> str:
        return self.session_id

    @property
    def amr(self) -> list[str]:
        return list((self.device_info or {}).get("amr", ()))

    @property
    def auth_time(self) -> datetime:
        at = (self.device_info or {}).get("auth_time")
        return datetime.fromtimestamp(at, UTC) if at else self.created_at

    def renew(self) -> None:
        """The refresh token before this is not good any more."""
        self.device_info = (self.device_info or {}) | {"jti": uuid.uuid4().hex}
        self.save(update_fields=["device_info"])

    def strengthen(self, method: str) -> None:
        """The user has now shown more; the refresh token before this is not good any more."""
        won = {"jti": uuid.uuid4().hex, "amr": [*self.amr, method], "auth_time": timezone.now().timestamp()}
        self.device_info = (self.device_info or {}) | won
        self.save(update_fields=["device_info"])
