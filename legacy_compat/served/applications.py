"""/api/v1/applications: the tenant's OAuth clients. A secret is shown once, when it is made."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from django.db import IntegrityError, transaction
from django.utils import timezone
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from iam.models import User
from iam.oauth import addresses
from iam.oauth.models import Grant, OAuthClient
from legacy_compat.call import LegacyCall
from legacy_compat.contracts import released
from legacy_compat.contracts.paging import Sent, Skipping
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import asked
from legacy_compat.served.access import exceeds, one, saved
from legacy_compat.served.asked import Address, Escaped, Plain, Storable
from legacy_compat.served.users import theirs

_KEPT = Answer(400, {"detail": "Something that is kept refers to this application"})


def _redirect(uri: str) -> str:
    if not addresses.fit(uri):
        raise PydanticCustomError("redirect_uri", "Input should be a redirect address, with https and without fragment")
    return uri


Redirect = Annotated[str, Storable, AfterValidator(_redirect)]
ClientName = Annotated[str, Field(min_length=1, max_length=255), Escaped]


class NewApplication(Sent):
    client_name: ClientName
    client_type: Literal["confidential", "public"] = "confidential"
    redirect_uris: list[Redirect] = Field(default_factory=list)
    allowed_grant_types: list[Plain] = Field(default_factory=lambda: ["authorization_code", "refresh_token"])
    allowed_scopes: list[Plain] = Field(default_factory=list)
    logo_uri: Address | None = None
    website_uri: Address | None = None


class Changes(Sent):
    client_name: ClientName | None = None
    redirect_uris: list[Redirect] | None = None
    allowed_grant_types: list[Plain] | None = None
    allowed_scopes: list[Plain] | None = None
    logo_uri: Address | None = None
    website_uri: Address | None = None
    is_active: bool | None = None


def listed(call: LegacyCall, contract: Contract, user: User, wanted: Skipping) -> Answer:
    rows = _theirs(user).order_by("created_at", "id")[wanted.first : wanted.first + wanted.size]
    return Answer(200, [released.application(each) for each in rows])


def shown(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    client = _named(user, key)
    return Answer(200, released.application(client)) if client else released.NO_APPLICATION


def created(call: LegacyCall, contract: Contract, user: User) -> Answer:
    sent = asked.body(call, NewApplication)
    if isinstance(sent, Answer):
        return sent
    client = OAuthClient(tenant_id=user.tenant_id, client_id=secrets.token_urlsafe(32), **sent.model_dump())
    if sent.client_type == "confidential":
        client.new_secret()  # nobody is told this one: it is asked for
    client.save(force_insert=True)
    return Answer(201, released.application(client))


def changed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    changes = asked.body(call, Changes)
    if isinstance(changes, Answer):
        return changes
    client = _named(user, key)
    if client is None:
        return released.NO_APPLICATION
    nullable = ("logo_uri", "website_uri")
    given = {name: value for name, value in changes.given.items() if value is not None or name in nullable}
    for name, value in (given | {"updated_at": timezone.now()}).items():
        setattr(client, name, value)
    there = saved(client, [*given, "updated_at"])
    return Answer(200, released.application(client)) if there else released.NO_APPLICATION


def removed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    client = _named(user, key)
    if client is None:
        return released.NO_APPLICATION
    try:
        with transaction.atomic(using="iam"):
            Grant.objects.filter(client=client).delete()
            client.delete()
    except IntegrityError:
        return _KEPT
    return released.NO_CONTENT


def new_secret(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    client = _named(user, key)
    if client is None:
        return released.NO_APPLICATION
    secret = client.new_secret()
    client.updated_at = timezone.now()
    client.save(update_fields=["client_secret_hash", "updated_at"])
    return Answer(200, {"client_id": client.client_id, "client_secret": secret})


def granted(call: LegacyCall, contract: Contract, user: User, key: str, wanted: str) -> Answer:
    client, of = _named(user, key), one(theirs(user), wanted)
    if client is None or of is None:
        return released.NO_APPLICATION if client is None else contract.NO_USER
    if exceeds(of, user):
        return contract.FORBIDDEN
    Grant.objects.get_or_create(user=of, client=client, defaults={"scope": " ".join(client.allowed_scopes or [])})
    return Answer(201, {"user_id": str(of.pk), "client_id": str(client.pk)})


def withdrawn(call: LegacyCall, contract: Contract, user: User, key: str, wanted: str) -> Answer:
    client, of = _named(user, key), one(theirs(user), wanted)
    if client is None or of is None:
        return released.NO_APPLICATION if client is None else contract.NO_USER
    Grant.objects.filter(user=of, client=client).delete()
    return released.NO_CONTENT


def _theirs(user: User) -> Any:
    return OAuthClient.objects.filter(tenant_id=user.tenant_id)


def _named(user: User, key: str) -> Any:
    """By its client_id or by its id."""
    return _theirs(user).filter(client_id=key[:100]).first() or one(_theirs(user), key)
