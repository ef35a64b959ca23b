"""Licences of one's own tenant, and their validation by anybody who knows the key."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import transaction
from django.utils import timezone
from pydantic import Field

from iam import licences
from iam.models import License, Subscription, Tenant, User
from legacy_compat import proxy
from legacy_compat.call import LegacyCall
from legacy_compat.contracts import released
from legacy_compat.contracts.paging import MOST, Page, Sent
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import asked
from legacy_compat.served.access import one
from legacy_compat.served.asked import Moment, Plain
from legacy_compat.served.tenants import own


class AskLegacy(Exception):
    """A licence that is linked to what only legacy knows."""


class Wanted(Page):
    tenant_id: Plain | None = None


class NewLicence(Sent):
    tenant_id: uuid.UUID
    payload: dict[str, Any]
    template_id: uuid.UUID | None = None
    linked_subscription: uuid.UUID | None = None
    issued_at: Moment | None = None
    validity_days: int | None = Field(None, gt=0, le=MOST)


class Changes(Sent):
    """Only what is sent changes; a payload never becomes null."""

    payload: dict[str, Any] | None = None
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
    return released.page([_shown(each, user) for each in rows], found.count(), wanted.page, wanted.size)


def shown(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    licence = one(_theirs(user), key)
    return Answer(200, _shown(licence, user)) if licence else contract.NO_LICENCE


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
    licence = one(_theirs(user), key)
    if licence is None:
        return contract.NO_LICENCE
    if unknown := _unknown(call, user, changes):
        return unknown
    given = {name: value for name, value in changes.given.items() if value is not None or name != "payload"}
    for name, value in given.items():
        setattr(licence, name, _text(value) if isinstance(value, uuid.UUID) else value)
    licence.save(update_fields=given)
    return Answer(200, _shown(licence, user))


def removed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    """Not its template, which others may use."""
    licence = one(_theirs(user), key)
    if licence is None:
        return contract.NO_LICENCE
    licence.delete()
    return released.LICENCE_DELETED


def validated(call: LegacyCall, contract: Contract, key: str = "") -> Answer:
    """Asked by POST the licence is looked up again: the door may have waited while its tenant moved. Raises AskLegacy."""
    wanted = call.licence_key
    if not isinstance(wanted, str) or not wanted:
        return contract.missing("license_key")
    licence, now = licences.find(wanted) if call.method == "POST" else call.licence, timezone.now()
    # Legacy answers 404 to every key with a slash, whatever it is worth.
    if "/" not in wanted and proxy.open() and licences.judge(licence, now)[0] is licences.Judgement.UNJUDGED:
        raise AskLegacy
    return contract.validation(licence, now)


def _theirs(user: User) -> Any:
    return License.objects.filter(tenant_id=user.tenant_id)


def _shown(licence: License, user: User) -> dict[str, Any]:
    subscription = licences.subscription_of(licence) if licence.linked_subscription else None
    return released.licence(licence, licences.terms(licence, subscription), user.tenant.name)


def _unknown(call: LegacyCall, user: User, sent: NewLicence | Changes) -> Answer | None:
    """A subscription or template that is not there: the released service failed on those, and so would the way back."""
    if (
        sent.linked_subscription
        and not Subscription.objects.filter(pk=sent.linked_subscription, tenant_id=user.tenant_id).exists()
    ):
        return released.NO_SUBSCRIPTION
    if sent.template_id is None:
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
