"""Users, one by one: for superusers, and for everybody about themselves."""

from __future__ import annotations

import json
from typing import Annotated, Any

from django.db import IntegrityError
from django.utils import timezone
from pydantic import Field

from iam import policy, removal
from iam.models import User
from legacy_compat import strictness
from legacy_compat.call import LegacyCall
from legacy_compat.contracts.paging import Sent
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import asked
from legacy_compat.served.access import Exceeds, bounded, exceeds, one, saved
from legacy_compat.served.asked import Escaped, Password, Plain, Text, Username

_TAKEN = Answer(400, {"detail": "A user with this username or email already exists"})
_KEPT = Answer(400, {"detail": "Something that is kept refers to this user"})
_OWN_PASSWORD = Answer(400, {"detail": "Change your own password at /api/auth/change-password"})
OWN_DEACTIVATED = Answer(400, {"detail": "Cannot deactivate your own account"})
_POWERS = ("is_active", "is_superuser", "is_verified")
_NULLABLE = ("full_name", "avatar_url", "bio", "phone_number")


Email = Annotated[str, Field(min_length=1), Escaped]
FullName = Annotated[str, Field(max_length=100), Escaped]


class Changes(Sent):
    """Only what is sent changes; a null where there must be a value changes nothing."""

    tenant_id: Plain | None = None
    email: Email | None = None
    username: Username | None = None
    full_name: FullName | None = None
    is_active: bool | None = None
    is_superuser: bool | None = None
    is_verified: bool | None = None
    password: Password | None = None
    avatar_url: Text | None = None
    bio: Text | None = None
    phone_number: Text | None = None


class NewUser(Changes):
    email: Email
    username: Username
    password: Password


def listed(call: LegacyCall, contract: Contract, user: User) -> Answer:
    page = asked.query(call, contract.USERS)
    if isinstance(page, Answer):
        return page
    users = theirs(user).order_by("created_at", "id")
    # Rows instead of models: a page of a hundred takes a third of the time.
    rows = users.values_list(*contract.USER_FIELDS, named=True)[page.first : page.first + page.size]
    return contract.users(list(rows), users.count(), page.number, page.size)


def shown(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    """To oneself, too."""
    if not user.is_superuser and key.lower() != str(user.pk):
        return contract.FORBIDDEN
    wanted = one(theirs(user), key)
    return Answer(200, contract.user(wanted)) if wanted else contract.NO_USER


def created(call: LegacyCall, contract: Contract, user: User) -> Answer:
    """What no client of the released service could: it asked for a form and for JSON at once. Either will do, and both."""
    sent = _new(call)
    if isinstance(sent, Answer):
        return sent
    made = create(user, sent, contract)
    return made if isinstance(made, Answer) else Answer(200, contract.user(made))


def _new(call: LegacyCall) -> NewUser | Answer:
    if call.content_type == "application/json":
        document = asked.document(call)
    else:
        document = dict(call.fields)
        try:
            document["user"] = json.loads(str(document.get("user") or "null"))
        except (ValueError, RecursionError):
            document.pop("user")
    if isinstance(document, dict) and isinstance(document.get("user"), dict):
        document = document["user"] | {name: value for name, value in document.items() if name == "tenant_id"}
    return document if isinstance(document, Answer) else asked.checked(document, NewUser)


def changed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    if not user.is_superuser and key.lower() != str(user.pk):
        return contract.FORBIDDEN
    changes = asked.body(call, Changes)
    if isinstance(changes, Answer):
        return changes
    wanted = one(theirs(user), key)
    if wanted is None:
        return contract.NO_USER
    done = change(user, wanted, changes, contract)
    return done if isinstance(done, Answer) else Answer(200, contract.user(done))


def own_changed(call: LegacyCall, contract: Contract, user: User) -> Answer:
    return changed(call, contract, user, str(user.pk))


def removed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    """Really, as the released service did; what refers to the user in the IAM goes with it."""
    wanted = one(theirs(user), key)
    return contract.NO_USER if wanted is None else remove(user, wanted, contract) or contract.USER_DELETED


def theirs(user: User) -> Any:
    return User.objects.filter(tenant_id=user.tenant_id)


def create(by: User, sent: NewUser, contract: Contract) -> User | Answer:
    """The new user; the answer that says why not."""
    if sent.tenant_id and sent.tenant_id.lower() != str(by.tenant_id):
        return contract.NO_TENANT
    made = User(
        tenant_id=by.tenant_id, email=sent.email, username=sent.username, full_name=sent.full_name,
        is_active=sent.is_active is not False, is_superuser=bool(sent.is_superuser), is_verified=bool(sent.is_verified),
        avatar_url=sent.avatar_url, bio=sent.bio, phone_number=sent.phone_number, updated_at=timezone.now(),
    )  # fmt: skip
    if weakness := strictness.rules_of(made).weakness(sent.password, made):
        return Answer(400, {"detail": weakness})
    policy.set_password(made, sent.password)
    try:
        with bounded(by, made):
            made.save(force_insert=True)
    except Exceeds:
        return contract.FORBIDDEN
    except IntegrityError:
        return _TAKEN
    return made


def change(by: User, user: User, changes: Changes, contract: Contract) -> User | Answer:
    """Save what was sent; the answer that says why not. Who is no superuser changes neither what they may do nor, here, their
    password."""
    if exceeds(user, by):
        return contract.FORBIDDEN
    if changes.tenant_id and changes.tenant_id.lower() != str(user.tenant_id):
        return contract.NO_TENANT
    given = {name: value for name, value in changes.given.items() if value is not None or name in _NULLABLE}
    password = given.pop("password", None)
    given.pop("tenant_id", None)
    if not by.is_superuser:
        given = {name: value for name, value in given.items() if name not in _POWERS}
    if given.get("is_active") is False and user.pk == by.pk:
        return OWN_DEACTIVATED
    if "email" in given and given["email"] != user.email:
        given |= {"email_verified": False, "email_verified_at": None}
    for name, value in given.items():
        setattr(user, name, value)
    fields = {*given, "updated_at"}
    if password is not None:
        if user.pk == by.pk:
            return _OWN_PASSWORD
        if weakness := strictness.rules_of(user).weakness(password, user):
            return Answer(400, {"detail": weakness})
        policy.set_password(user, password)
        fields |= set(User.PASSWORD_FIELDS)
    user.updated_at = timezone.now()
    try:
        with bounded(by, user):
            return user if saved(user, fields) else contract.NO_USER
    except Exceeds:
        return contract.FORBIDDEN
    except IntegrityError:
        return _TAKEN


def remove(by: User, user: User, contract: Contract) -> Answer | None:
    """The answer that says why not."""
    if user.pk == by.pk:
        return contract.OWN_ACCOUNT
    if exceeds(user, by):
        return contract.FORBIDDEN
    try:
        removal.remove(user)
    except IntegrityError:
        return _KEPT
    return None
