"""Licences of one's own tenant, and their validation by anybody who knows the key."""

from __future__ import annotations

import base64
import uuid
from typing import Annotated, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import transaction
from django.utils import timezone
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from iam import licences
from iam.models import License, Subscription, Tenant, User
from legacy_compat import proxy
from legacy_compat.call import LegacyCall
from legacy_compat.contracts import released
from legacy_compat.contracts.paging import MOST, Page, Sent
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import asked
from legacy_compat.served.access import saved
from legacy_compat.served.asked import Moment, Plain
from legacy_compat.served.tenants import own


class AskLegacy(Exception):
    """A licence that is linked to what only legacy knows."""


Payload = Annotated[dict[str, Any], BeforeValidator(asked.escaped_within)]


def _named(value: Any) -> Any:
    """Not sent is None; sent as null it is refused, as the service did: what a licence is worth is not taken from it."""
    if value is None:
        raise PydanticCustomError("uuid_type", "UUID input should be a string, bytes or UUID object")
    return value


Linked = Annotated[uuid.UUID | None, BeforeValidator(_named)]


class Wanted(Page):
    tenant_id: Plain | None = None


class NewLicence(Sent):
    tenant_id: uuid.UUID
    payload: Payload
    template_id: uuid.UUID | None = None
    linked_subscription: Linked = None
    issued_at: Moment | None = None
    validity_days: int | None = Field(None, gt=0, le=MOST)


class Changes(Sent):
    """Only what is sent changes; a payload never becomes null, nor what the licence is linked to."""

    payload: Payload | None = None
    template_id: uuid.UUID | None = None
    linked_subscription: uuid.UUID | None = None
    issued_at: Moment | None = None
    validity_days: int | None = Field(None, gt=0, le=MOST)


def listed(call: LegacyCall, contract: Contract, user: User, wanted: Wanted) -> Answer:
    found = _theirs(user)
    if wanted.tenant_id is not None and wanted.tenant_id.lower() != str(user.tenant_id):
        found = found.none()
    return _page(user, found, wanted)


def of_tenant(call: LegacyCall, contract: Contract, user: User, wanted: Page, key: str) -> Answer:
    tenant = own(user, key, contract)
    return tenant if isinstance(tenant, Answer) else _page(user, _theirs(user), wanted)


def _page(user: User, found: Any, wanted: Page) -> Answer:
    rows = list(found.order_by("issued_at", "id")[wanted.first : wanted.first + wanted.size])
    subscriptions = licences.subscriptions_of(rows)
    items = [
        released.licence(
            each, licences.terms(each, subscriptions.get(each.linked_subscription or "")), user.tenant.name
        )
        for each in rows
    ]
    return released.page(items, found.count(), wanted.page, wanted.size)


def shown(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    licence = _one(user, key, contract)
    return licence if isinstance(licence, Answer) else Answer(200, _shown(licence, user))


def created(call: LegacyCall, contract: Contract, user: User) -> Answer:
    """Its key is a new RSA key, as the released service makes them."""
    sent = asked.body(call, NewLicence)
    if isinstance(sent, Answer):
        return sent
    if sent.tenant_id != user.tenant_id:
        return contract.NO_TENANT
    if unknown := _unknown(call, user, sent):
        return unknown
    key, secret = _key_pair()
    with transaction.atomic(using="iam"):
        tenant = Tenant.objects.select_for_update().get(pk=user.tenant_id)
        if _theirs(user).count() >= tenant.max_licenses:
            return released.MAXIMUM
        licence = License.objects.create(
            tenant=tenant, license_key=key, license_secret=secret, payload=sent.payload, template_id=_text(sent.template_id),
            linked_subscription=_text(sent.linked_subscription), issued_at=sent.issued_at, validity_days=sent.validity_days,
        )  # fmt: skip
    return Answer(200, _shown(licence, user) | {"linked_subscription": None})


def changed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    changes = asked.body(call, Changes)
    if isinstance(changes, Answer):
        return changes
    licence = _one(user, key, contract)
    if isinstance(licence, Answer):
        return licence
    if unknown := _unknown(call, user, changes, licence):
        return unknown
    given = {
        name: value
        for name, value in changes.given.items()
        if value is not None or name not in ("payload", "linked_subscription")
    }
    for name, value in given.items():
        setattr(licence, name, _text(value) if isinstance(value, uuid.UUID) else value)
    there = saved(licence, given) if given else True
    return Answer(200, _shown(licence, user)) if there else contract.NO_LICENCE


def removed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    """Not its template, which others may use."""
    licence = _one(user, key, contract)
    if isinstance(licence, Answer):
        return licence
    licence.delete()
    return released.LICENCE_DELETED


def validated(call: LegacyCall, contract: Contract, key: str = "") -> Answer:
    """Asked by POST the licence is looked up again: the door may have waited while its tenant moved. Raises AskLegacy."""
    wanted = call.licence_key
    if not isinstance(wanted, str) or not wanted:
        return contract.missing("license_key")
    licence, now = licences.find(wanted) if call.method == "POST" else call.licence, timezone.now()
    verdict = licences.judge(licence, now)
    # Legacy answers 404 to every key with a slash, whatever it is worth.
    may_ask = call.method == "GET" and "/" not in wanted and proxy.reachable()
    if may_ask and licence and licence.linked_subscription and verdict.judgement is licences.Judgement.UNJUDGED:
        raise AskLegacy
    return contract.validation(licence, verdict)


def _one(user: User, key: str, contract: Contract) -> Any:
    """The licence of the user's tenant; the answer that says why not."""
    wanted = asked.named(key, "license_id")
    return wanted if isinstance(wanted, Answer) else _theirs(user).filter(pk=wanted).first() or contract.NO_LICENCE


def _theirs(user: User) -> Any:
    return License.objects.filter(tenant_id=user.tenant_id)


def _shown(licence: License, user: User) -> dict[str, Any]:
    subscription = licences.subscription_of(licence) if licence.linked_subscription else None
    return released.licence(licence, licences.terms(licence, subscription), user.tenant.name)


def _unknown(call: LegacyCall, user: User, sent: NewLicence | Changes, before: License | None = None) -> Answer | None:
    """A new subscription or template that is not there: the released service failed on those, and so would reversing."""
    linked = sent.linked_subscription
    same = before is not None and _text(linked) == before.linked_subscription
    theirs = Subscription.objects.filter(tenant_id=user.tenant_id)
    if linked is not None and not same and not theirs.filter(pk=linked).exists():
        return released.NO_SUBSCRIPTION
    if sent.template_id is None or (before is not None and _text(sent.template_id) == before.template_id):
        return None
    known = proxy.ask(f"/api/templates/{sent.template_id}", call.token)
    return None if known == 200 else released.NO_TEMPLATE if known == 404 else proxy.DOWN


def _text(value: uuid.UUID | None) -> str | None:
    return None if value is None else str(value)


def _key_pair() -> tuple[str, str]:
    """A public key (DER) and its private one (PKCS 8), in base64."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    secret = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(public).decode(), base64.b64encode(secret).decode()
