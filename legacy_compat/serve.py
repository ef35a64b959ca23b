"""The legacy endpoints served from the IAM: what each does, whatever the profile it is answered in."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from flags import homes
from flags.models import TenantHome
from iam import policy, removal, throttles, tokens
from iam.licences import find
from iam.models import License, Tenant, User
from iam.sign_in import Asked, PasswordDue, Refused, WrongCredentials, sign_in
from legacy_compat import strictness
from legacy_compat.call import LegacyCall
from legacy_compat.contracts.protocol import Contract, Credentials, Paging
from legacy_compat.contracts.shapes import TOO_MANY, Answer

Endpoint = Callable[[LegacyCall, Contract], Answer]
EndpointOfOne = Callable[[LegacyCall, Contract, str], Answer]
_MOST_SIZE = 200
_MOST_NUMBER = 2**31 - 1
_PAGES = Paging("page", "size", 10)


class LivesInLegacy(Exception):
    """The user that a login without a tenant turned out to mean: legacy answers."""


def login(call: LegacyCall, contract: Contract) -> Answer:
    if not isinstance(call.credentials, Credentials):
        return call.credentials or contract.NOT_FOUND
    asked = Asked(call.credentials.name, call.credentials.password, call.credentials.tenant, ip=call.ip)
    try:
        user = sign_in(asked, strict=strictness.strict(), admit=_at_home).user
    except WrongCredentials:
        return contract.WRONG
    except Refused as refused:
        return contract.WRONG if settings.LEGACY_POLICY == "documented" else strictness.refusal(type(refused))
    try:
        return contract.tokens(tokens.issue(user, ip=call.ip, agent=call.agent), user)
    except tokens.BadToken:  # the password has changed meanwhile
        return contract.WRONG


def _at_home(user: User) -> None:
    if homes.serving(str(user.tenant_id), write=True) != TenantHome.Home.IAM:
        raise LivesInLegacy


def refresh(call: LegacyCall, contract: Contract) -> Answer:
    token = call.text("refresh_token")
    if token is None:
        return contract.missing("refresh_token")
    try:
        _, pair = tokens.refresh(token, ip=call.ip, agent=call.agent, admit=strictness.may_go_on)
    except (tokens.BadToken, Refused):
        return contract.BAD_REFRESH
    return contract.tokens(pair, None)


_WITH_A_PASSWORD_DUE = ("auth/change-password", "auth/logout")


def _authorized(call: LegacyCall, contract: Contract, *, superuser: bool) -> User | Answer:
    """The signed-in, active user, a superuser where asked; else the answer that says so."""
    if not call.token:
        return contract.NOT_AUTHENTICATED
    try:
        bearer = tokens.authenticate(call.token)
    except tokens.BadToken:
        return contract.BAD_TOKEN
    user = bearer.user
    if not user.is_active:
        return contract.INACTIVE
    if (why := strictness.objection(bearer)) and (why is not PasswordDue or call.path not in _WITH_A_PASSWORD_DUE):
        return strictness.refusal(why)
    return contract.FORBIDDEN if superuser and not user.is_superuser else user


def signed_in(do: Callable[[LegacyCall, Contract, User], Answer], *, superuser: bool = False) -> Endpoint:
    """Only for signed-in, active users, and superusers where asked."""

    def checked(call: LegacyCall, contract: Contract) -> Answer:
        user = _authorized(call, contract, superuser=superuser)
        return user if isinstance(user, Answer) else do(call, contract, user)

    return checked


def signed_in_with_key(
    do: Callable[[LegacyCall, Contract, User, str], Answer], *, superuser: bool = False
) -> EndpointOfOne:
    """The same for endpoints whose path names one object."""

    def checked(call: LegacyCall, contract: Contract, key: str) -> Answer:
        user = _authorized(call, contract, superuser=superuser)
        return user if isinstance(user, Answer) else do(call, contract, user, key)

    return checked


def _me(call: LegacyCall, contract: Contract, user: User) -> Answer:
    return Answer(200, contract.user(user))


def _logout(call: LegacyCall, contract: Contract, user: User) -> Answer:
    tokens.revoke(call.token)
    return contract.LOGGED_OUT


def _change_password(call: LegacyCall, contract: Contract, user: User) -> Answer:
    current, new = call.text("current_password"), call.text("new_password")
    if current is None or new is None:
        given = {"current_password": current, "new_password": new}
        return contract.missing(*(name for name, value in given.items() if value is None))
    if throttles.too_many_guesses(str(user.pk)):
        return TOO_MANY
    if not user.has_password(current):
        throttles.guessed(str(user.pk))
        return contract.WRONG_CURRENT
    if weakness := strictness.rules_of(user).weakness(new, user):
        return Answer(400, {"detail": weakness})
    policy.set_password(user, new)
    user.save(update_fields=User.PASSWORD_FIELDS)
    return contract.CHANGED


def _users(call: LegacyCall, contract: Contract, user: User) -> Answer:
    """Of the caller's tenant only, whatever the profile."""
    paging = contract.USERS
    numbers = _numbers(call, contract, paging)
    if isinstance(numbers, Answer):
        return numbers
    first, size = numbers
    start = first if paging.skips_rows else (first - 1) * size
    users = User.objects.filter(tenant_id=user.tenant_id).order_by("created_at", "id")
    # Rows instead of models: a page of a hundred takes a third of the time.
    rows = users.values_list(*contract.USER_FIELDS, named=True)[start : start + size]
    return contract.users(list(rows), users.count(), first, size)


def _tenants(call: LegacyCall, contract: Contract, user: User) -> Answer:
    numbers = _numbers(call, contract, _PAGES, most=_MOST_SIZE)
    if isinstance(numbers, Answer):
        return numbers
    page, size = numbers
    tenants = Tenant.objects.filter(pk=user.tenant_id)
    return contract.tenants(list(tenants[(page - 1) * size : page * size]), tenants.count(), page, size)


def _user(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    wanted = _one(User.objects.filter(tenant_id=user.tenant_id), key)
    return Answer(200, contract.user(wanted)) if wanted else contract.NO_USER


def _delete_user(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    """Really, as the released service did; what refers to the user in the IAM goes with it."""
    wanted = _one(User.objects.filter(tenant_id=user.tenant_id), key)
    if wanted is None:
        return contract.NO_USER
    if wanted.pk == user.pk:
        return contract.OWN_ACCOUNT
    try:
        removal.remove(wanted)
    except IntegrityError:
        return Answer(400, {"detail": "Something that is kept refers to this user"})
    return contract.USER_DELETED


def _tenant(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    try:
        uuid.UUID(key)
    except ValueError:
        return contract.no_uuid("tenant_id", key)
    wanted = _one(Tenant.objects.filter(pk=user.tenant_id), key)
    return Answer(200, contract.tenant(wanted)) if wanted else contract.NO_TENANT


def _create_tenant(call: LegacyCall, contract: Contract, user: User) -> Answer:
    """A tenant that is born here lives here."""
    given = {name: call.text(name) for name in ("name", "slug")}
    if absent := [name for name, value in given.items() if value is None or "\0" in value]:
        return contract.missing(*absent)
    name, slug = str(given["name"]), str(given["slug"])
    if Tenant.objects.filter(slug=slug[:100]).exists():
        return contract.SLUG_TAKEN
    try:
        most = int(call.fields.get("max_licenses") or 0)
        if not 0 <= most <= _MOST_NUMBER:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        return contract.not_a_number("max_licenses", str(call.fields["max_licenses"]))
    tenant = Tenant(name=name[:255], slug=slug[:100], max_licenses=most)
    homes.born_in_iam(str(tenant.pk), tenant.name or "")
    tenant.save(force_insert=True)
    return Answer(201, contract.tenant(tenant))


def _licences(call: LegacyCall, contract: Contract, user: User) -> Answer:
    numbers = _numbers(call, contract, _PAGES, most=_MOST_SIZE)
    if isinstance(numbers, Answer):
        return numbers
    page, size = numbers
    licences = License.objects.filter(tenant_id=user.tenant_id).order_by("issued_at", "id")
    return contract.licences(list(licences[(page - 1) * size : page * size]), licences.count(), page, size)


def _one(objects: QuerySet[Any], key: str) -> Any:
    try:
        return objects.filter(pk=uuid.UUID(key)).first()
    except ValueError:
        return None


def _numbers(call: LegacyCall, contract: Contract, paging: Paging, most: int = 0) -> tuple[int, int] | Answer:
    """What the query says of the first page or row, and of the size."""
    least = 0 if paging.skips_rows else 1
    numbers = []
    for name, default, smallest in ((paging.first, least, least), (paging.size, paging.default_size, 1)):
        given = call.query.get(name, str(default))
        try:
            number = int(given)
        except ValueError:
            return contract.not_a_number(name, given)
        if number < smallest:
            return contract.too_small(name, given, smallest)
        largest = most if most and name == paging.size else _MOST_NUMBER
        if number > largest:
            return contract.too_large(name, given, largest)
        numbers.append(number)
    return numbers[0], numbers[1]


def validate(call: LegacyCall, contract: Contract, key: str = "") -> Answer:
    """Asked by POST the licence is looked up again: the door may have waited while its tenant moved."""
    wanted = call.licence_key
    if not isinstance(wanted, str) or not wanted:
        return contract.missing("license_key")
    return contract.validation(find(wanted) if call.method == "POST" else call.licence, timezone.now())


ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("POST", "auth/login"): login,
    ("POST", "auth/refresh"): refresh,
    ("POST", "auth/logout"): signed_in(_logout),
    ("POST", "auth/change-password"): signed_in(_change_password),
    ("GET", "auth/me"): signed_in(_me),
    ("GET", "auth/users"): signed_in(_users, superuser=True),
    ("GET", "users"): signed_in(_users, superuser=True),
    ("GET", "tenants"): signed_in(_tenants),
    ("POST", "tenants"): signed_in(_create_tenant, superuser=True),
    ("GET", "licenses"): signed_in(_licences),
    ("GET", "licenses/validate"): validate,
    ("POST", "licenses/validate"): validate,
}
OF_ONE: dict[tuple[str, str], EndpointOfOne] = {
    ("GET", "auth/users"): signed_in_with_key(_user, superuser=True),
    ("DELETE", "auth/users"): signed_in_with_key(_delete_user, superuser=True),
    ("GET", "tenants"): signed_in_with_key(_tenant),
    ("GET", "licenses/validate"): validate,
}
"""Endpoints whose path ends with a key."""
_COLLECTIONS = sorted({path for _, path in OF_ONE}, key=len, reverse=True)


def answer(call: LegacyCall, contract: Contract) -> Answer:
    """The IAM's answer to a legacy request."""
    if call.path in contract.ABSENT:
        return contract.NOT_FOUND
    if endpoint := ENDPOINTS.get((call.method, call.path)):
        return endpoint(call, contract)
    collection, key = _split(call.path)
    if key and (of_one := OF_ONE.get((call.method, collection))):
        return of_one(call, contract, key)
    return contract.NOT_FOUND


def name_of(path: str) -> str:
    """The endpoint without the key in its path, as statistics want it; what nobody serves is all one."""
    if any(path == known for _, known in ENDPOINTS):
        return path
    collection, key = _split(path)
    return f"{collection}/…" if key else "(unknown)"


def _split(path: str) -> tuple[str, str]:
    """The collection and the key after it; a licence key may hold slashes."""
    for collection in _COLLECTIONS:
        if path.startswith(f"{collection}/"):
            return collection, path.removeprefix(f"{collection}/")
    return path, ""
