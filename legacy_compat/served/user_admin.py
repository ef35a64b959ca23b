"""/api/auth/v1/users: lists, many users at once, exports, switches. For superusers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Annotated, Any, Literal

from django.db.models import Q, QuerySet
from django.utils import timezone
from pydantic import Field

from iam.models import User
from legacy_compat.call import LegacyCall
from legacy_compat.contracts.paging import Page, Sent
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.released import page
from legacy_compat.contracts.shapes import Answer, moment
from legacy_compat.served import asked
from legacy_compat.served.access import exceeds, one, saved
from legacy_compat.served.asked import Plain, Storable
from legacy_compat.served.users import OWN_DEACTIVATED, Changes, NewUser, change, create, remove, theirs

_SORTABLE = {
    "created_at", "updated_at", "last_login", "username", "email", "full_name", "id", "is_active", "is_superuser",
    "is_verified",
}  # fmt: skip
_MOST_AT_ONCE = 100
"""A new password takes a quarter of a second."""


class Wanted(Page):
    size: int = Field(20, ge=1, le=100)
    sort: Plain = "created_at:desc"
    filter_status: Literal["active", "inactive", "pending_verification"] | None = None
    filter_verified: bool | None = None
    filter_tenant: Plain | None = None
    filter_role: Plain | None = None
    search: Annotated[str, Field(min_length=2, max_length=100), Storable] | None = None


class Form(Sent):
    format: Literal["json", "csv"] = "json"


def listed(call: LegacyCall, contract: Contract, user: User, wanted: Wanted) -> Answer:
    """By created_at where it is asked to be sorted by what there is not; by role as well: both were 500s."""
    users = _filtered(user, wanted)
    field, _, way = wanted.sort.partition(":")
    field = field if field in _SORTABLE else "created_at"
    users = users.order_by(f"{'' if way == 'asc' else '-'}{field}", "id")
    rows = users[wanted.first : wanted.first + wanted.size]
    return page([contract.user(each) for each in rows], users.count(), wanted.page, wanted.size)


def _filtered(user: User, wanted: Wanted) -> QuerySet[User]:
    users: QuerySet[User] = theirs(user)
    if wanted.filter_status == "active":
        users = users.filter(is_active=True)
    elif wanted.filter_status == "inactive":
        users = users.exclude(is_active=True)
    elif wanted.filter_status == "pending_verification":
        users = users.exclude(email_verified=True)
    if wanted.filter_verified is not None:
        users = users.filter(email_verified=True) if wanted.filter_verified else users.exclude(email_verified=True)
    if wanted.filter_tenant is not None:
        users = users if wanted.filter_tenant.lower() == str(user.tenant_id) else users.none()
    if wanted.filter_role is not None:
        users = users.filter(roles__name=wanted.filter_role).distinct()
    if part := wanted.search:
        users = users.filter(Q(username__icontains=part) | Q(email__icontains=part) | Q(full_name__icontains=part))
    return users


def exported(call: LegacyCall, contract: Contract, user: User, wanted: Form) -> Answer:
    users = [contract.user(each) for each in theirs(user).order_by("created_at", "id")]
    when = moment(timezone.now())
    if wanted.format == "json":
        return Answer(200, {"users": users, "total": len(users), "exported_at": when})
    table = io.StringIO()
    writer = csv.DictWriter(table, list(users[0]))
    writer.writeheader()
    writer.writerows(users)
    return Answer(200, {"format": "csv", "data": table.getvalue(), "total": len(users), "exported_at": when})


def created_many(call: LegacyCall, contract: Contract, user: User) -> Answer:
    def do(item: Any) -> User | Answer | None:
        sent = asked.checked(item, NewUser)
        return sent if isinstance(sent, Answer) else create(user, sent, contract)

    return _many(call, contract, "created", do, about=lambda item: {"data": item})


def changed_many(call: LegacyCall, contract: Contract, user: User) -> Answer:
    def do(item: Any) -> User | Answer | None:
        changes = asked.checked(item.get("updates") if isinstance(item, dict) else item, Changes)
        if isinstance(changes, Answer):
            return changes
        wanted = one(theirs(user), _id(item))
        return change(user, wanted, changes, contract) if wanted else contract.NO_USER

    return _many(call, contract, "updated", do, about=lambda item: {"user_id": _id(item)})


def removed_many(call: LegacyCall, contract: Contract, user: User) -> Answer:
    def do(item: Any) -> Answer | None:
        wanted = one(theirs(user), str(item))
        return remove(user, wanted, contract) if wanted else contract.NO_USER

    return _many(call, contract, "deleted", do, about=lambda item: {"user_id": str(item)})


def _id(item: Any) -> str:
    return str(item.get("user_id", "")) if isinstance(item, dict) else ""


def _many(
    call: LegacyCall, contract: Contract, done: str, do: Callable[[Any], User | Answer | None],
    about: Callable[[Any], dict[str, Any]],
) -> Answer:  # fmt: skip
    """Each by itself: what fails is told, and keeps nothing of the others from being done."""
    items = asked.document(call)
    if isinstance(items, Answer):
        return items
    if not isinstance(items, list):
        what = {
            "type": "list_type",
            "loc": ["body"],
            "msg": "Input should be a valid list",
            "input": asked.shown(items),
        }
        return Answer(422, {"detail": [what]})
    if len(items) > _MOST_AT_ONCE:
        told = f"List should have at most {_MOST_AT_ONCE} items after validation, not {len(items)}"
        ctx = {"field_type": "List", "max_length": _MOST_AT_ONCE, "actual_length": len(items)}
        return Answer(422, {"detail": [{"type": "too_long", "loc": ["body"], "msg": told, "input": None, "ctx": ctx}]})
    users, failed = [], []
    for index, item in enumerate(items):
        outcome = do(item)
        if isinstance(outcome, Answer):
            failed.append(
                {"index": index, "error": outcome.body["detail"]}
                | {name: asked.shown(value) for name, value in about(item).items()}
            )
        else:
            users.append(outcome)
    counts: dict[str, Any] = {done: len(users), "errors": len(failed)}
    if done != "deleted":
        counts["users"] = [contract.user(each) for each in users]
    return Answer(200, counts | {"error_details": failed})


def activated(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    return _switched(contract, user, key, is_active=True)


def deactivated(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    return _switched(contract, user, key, is_active=False)


def verified(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    return _switched(contract, user, key, email_verified=True, email_verified_at=timezone.now())


def _switched(contract: Contract, user: User, key: str, **values: Any) -> Answer:
    wanted = one(theirs(user), key)
    if wanted is None:
        return contract.NO_USER
    if exceeds(wanted, user):
        return contract.FORBIDDEN
    if wanted.pk == user.pk and values.get("is_active") is False:
        return OWN_DEACTIVATED
    for name, value in (values | {"updated_at": timezone.now()}).items():
        setattr(wanted, name, value)
    there = saved(wanted, [*values, "updated_at"])
    return Answer(200, contract.user(wanted)) if there else contract.NO_USER
