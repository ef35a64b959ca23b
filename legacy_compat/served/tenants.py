"""Tenants: one's own. The released service let any user change or delete any."""

from __future__ import annotations

from typing import Annotated, Any

from django.db import IntegrityError
from pydantic import Field

from flags import homes
from flags.models import TenantHome
from iam import removal
from iam.models import Subscription, Tenant, User
from legacy_compat.call import LegacyCall
from legacy_compat.contracts.paging import MOST, Page, Sent
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.released import TENANT_DELETED, page
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import asked
from legacy_compat.served.access import exceeds, saved
from legacy_compat.served.asked import Escaped, Slug

_KEPT = Answer(400, {"detail": "Something that is kept refers to this tenant"})


TenantName = Annotated[str, Field(max_length=100), Escaped]


class NewTenant(Sent):
    name: TenantName
    slug: Slug
    is_active: bool = True
    max_licenses: int = Field(1, gt=0, le=MOST)


class Changes(Sent):
    """Only what is sent changes; nothing becomes null."""

    name: TenantName | None = None
    slug: Slug | None = None
    is_active: bool | None = None
    max_licenses: int | None = Field(None, gt=0, le=MOST)


def listed(call: LegacyCall, contract: Contract, user: User, wanted: Page) -> Answer:
    tenants = Tenant.objects.filter(pk=user.tenant_id)
    rows = tenants[wanted.first : wanted.first + wanted.size]
    return page([contract.tenant(each) for each in rows], tenants.count(), wanted.page, wanted.size)


def shown(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    tenant = own(user, key, contract)
    return tenant if isinstance(tenant, Answer) else Answer(200, contract.tenant(tenant))


def created(call: LegacyCall, contract: Contract, user: User) -> Answer:
    """A tenant that is born here lives here."""
    sent = (
        asked.checked(dict(call.fields), NewTenant) if "json" not in call.content_type else asked.body(call, NewTenant)
    )
    if isinstance(sent, Answer):
        return sent
    if _taken(sent.slug):
        return contract.SLUG_TAKEN
    tenant = Tenant(name=sent.name, slug=sent.slug, is_active=sent.is_active, max_licenses=sent.max_licenses)
    homes.born_in_iam(str(tenant.pk), tenant.name or "")
    try:
        tenant.save(force_insert=True)
    except IntegrityError:
        TenantHome.objects.filter(pk=str(tenant.pk)).delete()
        return contract.SLUG_TAKEN
    return Answer(200, contract.tenant(tenant))


def _taken(slug: str) -> bool:
    return Tenant.objects.filter(slug=slug).exists()


def changed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    changes = asked.body(call, Changes)
    if isinstance(changes, Answer):
        return changes
    tenant = own(user, key, contract)
    if isinstance(tenant, Answer):
        return tenant
    given = {name: value for name, value in changes.given.items() if value is not None}
    for name, value in given.items():
        setattr(tenant, name, value)
    try:
        there = saved(tenant, given) if given else True
    except IntegrityError:
        return contract.SLUG_TAKEN
    return Answer(200, contract.tenant(tenant)) if there else contract.NO_TENANT


def removed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    """With its users and licences, as the released service did; and with the roles and clients on which that failed."""
    tenant = own(user, key, contract)
    if isinstance(tenant, Answer):
        return tenant
    if Subscription.objects.filter(tenant_id=tenant.pk).exists():  # legacy's, which would keep the tenant there
        return _KEPT
    if any(exceeds(each, user) for each in User.objects.filter(tenant=tenant)):
        return contract.FORBIDDEN
    try:
        removal.remove_tenant(tenant)
    except IntegrityError:
        return _KEPT
    return TENANT_DELETED


def own(user: User, key: str, contract: Contract) -> Any:
    """The tenant, if it is the user's; the answer that says why not."""
    wanted = asked.named(key, "tenant_id")
    if isinstance(wanted, Answer):
        return wanted
    return Tenant.objects.filter(pk=user.tenant_id).filter(pk=wanted).first() or contract.NO_TENANT
