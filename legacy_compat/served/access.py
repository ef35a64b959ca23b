"""Whom an endpoint is for. Everybody acts in their own tenant: the released service let any user change any."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from iam import bearers
from iam.models import User
from iam.permissions import powers, reach
from iam.sign_in import PasswordDue
from legacy_compat import strictness
from legacy_compat.call import LegacyCall
from legacy_compat.contracts.paging import Sent
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import asked

Endpoint = Callable[..., Answer]
"""Of a call, a contract, and what the path names, in its order."""
_WITH_A_PASSWORD_DUE = ("auth/change-password", "auth/logout")


def authorized(call: LegacyCall, contract: Contract) -> User | Answer:
    """The signed-in, active user; else the answer that says so."""
    if not call.token:
        return contract.NOT_AUTHENTICATED
    try:
        bearer = bearers.authenticate(call.token)
    except bearers.BadToken:
        return contract.BAD_TOKEN
    if not bearer.user.is_active:
        return contract.INACTIVE
    if (why := strictness.objection(bearer)) and (why is not PasswordDue or call.path not in _WITH_A_PASSWORD_DUE):
        return strictness.refusal(why)
    return bearer.user


def signed_in(do: Endpoint, *, superuser: str = "", query: type[Sent] | None = None) -> Endpoint:
    """Only for signed-in, active users; with `superuser`, the words for those who are none. `do` gets the user third, and the
    query fourth where one is described.
    """

    def endpoint(call: LegacyCall, contract: Contract, *named: str) -> Answer:
        if answer := asked.broken(call):
            return answer
        user = authorized(call, contract)
        if isinstance(user, Answer):
            return user
        if superuser and not user.is_superuser:
            return Answer(403, {"detail": superuser})
        if query is None:
            return do(call, contract, user, *named)
        wanted = asked.query(call, query)
        return wanted if isinstance(wanted, Answer) else do(call, contract, user, wanted, *named)

    return endpoint


def one(objects: QuerySet[Any], key: str) -> Any:
    """The object with this id, or None."""
    try:
        return objects.filter(pk=uuid.UUID(key)).first()
    except ValueError:
        return None


def saved(changed: Any, fields: Iterable[str]) -> bool:
    """Whether the row was still there to be changed. Raises IntegrityError."""
    values = {name: getattr(changed, name) for name in fields}
    with transaction.atomic(using="iam"):
        return bool(type(changed).objects.filter(pk=changed.pk).update(**values))


class Exceeds(Exception):
    """Somebody would be able to do what who makes the change cannot."""


@contextmanager
def bounded(user: User, target: User) -> Iterator[None]:
    """A change of what the target may do: undone when that then exceeds what the user may. Raises Exceeds."""
    mine = powers(user)
    with transaction.atomic(using="iam"):
        yield
        if reach(target) - mine:
            raise Exceeds


def exceeds(target: User, user: User) -> bool:
    """Whether the target could do what the user cannot: then it is not for the user to touch."""
    return bool(reach(target) - powers(user))
