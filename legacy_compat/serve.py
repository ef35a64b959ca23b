"""The legacy endpoints served from the IAM: what each does, whatever the profile it is answered in."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from flags import homes
from iam import removal, tokens
from iam.licences import find
from iam.models import License, Tenant, User
from iam.sign_in import WrongCredentials, sign_in
from legacy_compat.contracts.shapes import Answer
from legacy_compat.reading import bearer, fields

_MOST_SIZE = 200


def login(request: HttpRequest, contract: ModuleType) -> Answer:
    asked = contract.credentials(request.content_type or "", fields(request))
    if isinstance(asked, Answer):
        return asked
    name, password, tenant = asked
    try:
        user = sign_in(name, password, tenant)
    except WrongCredentials:
        return contract.WRONG  # type: ignore[no-any-return]
    pair = tokens.issue(user, ip=request.META.get("REMOTE_ADDR"), agent=request.headers.get("User-Agent", ""))
    return contract.tokens(pair, user)  # type: ignore[no-any-return]


def refresh(request: HttpRequest, contract: ModuleType) -> Answer:
    token = fields(request).get("refresh_token")
    if not isinstance(token, str):
        return contract.missing("refresh_token")  # type: ignore[no-any-return]
    try:
        user, pair = tokens.refresh(
            token, ip=request.META.get("REMOTE_ADDR"), agent=request.headers.get("User-Agent", "")
        )
    except tokens.BadToken:
        return contract.BAD_REFRESH  # type: ignore[no-any-return]
    return contract.tokens(pair, None) if user.is_active else contract.BAD_REFRESH  # type: ignore[no-any-return]


def signed_in(
    do: Callable[[HttpRequest, ModuleType, User], Answer], *, superuser: bool = False
) -> Callable[[HttpRequest, ModuleType], Answer]:
    """Only for who is signed in and active, and a superuser where asked."""

    def checked(request: HttpRequest, contract: ModuleType) -> Answer:
        token = bearer(request)
        if not token:
            return contract.NOT_AUTHENTICATED  # type: ignore[no-any-return]
        try:
            user = tokens.authenticate(token).user
        except tokens.BadToken:
            return contract.BAD_TOKEN  # type: ignore[no-any-return]
        if not user.is_active:
            return contract.INACTIVE  # type: ignore[no-any-return]
        if superuser and not user.is_superuser:
            return contract.FORBIDDEN  # type: ignore[no-any-return]
        return do(request, contract, user)

    return checked


def signed_in_with_key(
    do: Callable[[HttpRequest, ModuleType, User, str], Answer], *, superuser: bool = False
) -> Callable[[HttpRequest, ModuleType, str], Answer]:
    """The same for endpoints whose path names one object."""

    def checked(request: HttpRequest, contract: ModuleType, key: str) -> Answer:
        inner = signed_in(lambda request, contract, user: do(request, contract, user, key), superuser=superuser)
        return inner(request, contract)

    return checked


def _me(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    return Answer(200, contract.user(user))


def _logout(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    tokens.revoke(bearer(request))
    return contract.LOGGED_OUT  # type: ignore[no-any-return]


def _change_password(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    asked = fields(request)
    if absent := [name for name in ("current_password", "new_password") if not isinstance(asked.get(name), str)]:
        return contract.missing(*absent)  # type: ignore[no-any-return]
    if not user.has_password(asked["current_password"]):
        return contract.WRONG_CURRENT  # type: ignore[no-any-return]
    user.set_password(asked["new_password"])
    user.save(update_fields=User.PASSWORD_FIELDS)
    tokens.revoke_all(user)
    return contract.CHANGED  # type: ignore[no-any-return]


def _users(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    """Of the caller's tenant only, whatever the profile."""
    observed = contract.__name__.endswith("observed")
    names = ("skip", "limit") if observed else ("page", "size")
    numbers = _numbers(request, contract, {names[0]: 0 if observed else 1, names[1]: contract.USERS_SIZE})
    if isinstance(numbers, Answer):
        return numbers
    first, size = numbers
    start = first if observed else (first - 1) * size
    found = User.objects.filter(tenant_id=user.tenant_id).order_by("created_at", "id")
    # Rows instead of models: a page of a hundred takes a third of the time.
    rows = found.values_list(*contract.USER_FIELDS, named=True)[start : start + size]
    return contract.users(list(rows), found.count(), first, size)  # type: ignore[no-any-return]


def _tenants(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    numbers = _numbers(request, contract, {"page": 1, "size": 10}, most=_MOST_SIZE)
    if isinstance(numbers, Answer):
        return numbers
    page, size = numbers
    found = Tenant.objects.filter(pk=user.tenant_id)
    return contract.tenants(  # type: ignore[no-any-return]
        list(found[(page - 1) * size : page * size]), found.count(), page, size
    )


def _user(request: HttpRequest, contract: ModuleType, user: User, key: str) -> Answer:
    found = _one(User.objects.filter(tenant_id=user.tenant_id), key)
    return Answer(200, contract.user(found)) if found else contract.NO_USER  # type: ignore[no-any-return]


def _delete_user(request: HttpRequest, contract: ModuleType, user: User, key: str) -> Answer:
    """Really, as the released service did; what refers to the user in the IAM goes with it."""
    found = _one(User.objects.filter(tenant_id=user.tenant_id), key)
    if found is None:
        return contract.NO_USER  # type: ignore[no-any-return]
    if found.pk == user.pk:
        return contract.OWN_ACCOUNT  # type: ignore[no-any-return]
    removal.remove(found)
    return contract.USER_DELETED  # type: ignore[no-any-return]


def _tenant(request: HttpRequest, contract: ModuleType, user: User, key: str) -> Answer:
    try:
        uuid.UUID(key)
    except ValueError:
        return contract.no_uuid("tenant_id", key)  # type: ignore[no-any-return]
    found = _one(Tenant.objects.filter(pk=user.tenant_id), key)
    return Answer(200, contract.tenant(found)) if found else contract.NO_TENANT  # type: ignore[no-any-return]


def _create_tenant(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    """A tenant that is born here lives here."""
    asked = fields(request)
    if absent := [name for name in ("name", "slug") if not isinstance(asked.get(name), str) or "\0" in asked[name]]:
        return contract.missing(*absent)  # type: ignore[no-any-return]
    if Tenant.objects.filter(slug=asked["slug"]).exists():
        return contract.SLUG_TAKEN  # type: ignore[no-any-return]
    try:
        most = int(asked.get("max_licenses") or 0)
    except (TypeError, ValueError):
        return contract.not_a_number("max_licenses", str(asked["max_licenses"]))  # type: ignore[no-any-return]
    made = Tenant(name=asked["name"][:255], slug=asked["slug"][:100], max_licenses=most)
    homes.born_in_iam(str(made.pk), made.name or "")
    made.save(force_insert=True)
    return Answer(201, contract.tenant(made))


def _licences(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    numbers = _numbers(request, contract, {"page": 1, "size": 10}, most=_MOST_SIZE)
    if isinstance(numbers, Answer):
        return numbers
    page, size = numbers
    found = License.objects.filter(tenant_id=user.tenant_id).order_by("issued_at", "id")
    return contract.licences(  # type: ignore[no-any-return]
        list(found[(page - 1) * size : page * size]), found.count(), page, size
    )


def _one(found: QuerySet[Any], key: str) -> Any:
    try:
        return found.filter(pk=uuid.UUID(key)).first()
    except ValueError:
        return None


def _numbers(request: HttpRequest, contract: ModuleType, defaults: dict[str, int], most: int = 0) -> list[int] | Answer:
    values = []
    for name, default in defaults.items():
        given = request.GET.get(name, str(default))
        try:
            number = int(given)
        except ValueError:
            return contract.not_a_number(name, given)  # type: ignore[no-any-return]
        least = 0 if name == "skip" else 1
        if number < least:
            return contract.too_small(name, given, least)  # type: ignore[no-any-return]
        if most and name == "size" and number > most:
            return contract.too_large(name, given, most)  # type: ignore[no-any-return]
        values.append(number)
    return values


def validate(request: HttpRequest, contract: ModuleType, key: str = "") -> Answer:
    wanted = key or request.GET.get("license_key") or fields(request).get("license_key")
    if not isinstance(wanted, str) or not wanted:
        return contract.missing("license_key")  # type: ignore[no-any-return]
    return contract.validation(licence_by_key(request, wanted), timezone.now())  # type: ignore[no-any-return]


def licence_by_key(request: HttpRequest, key: str) -> License | None:
    """With its tenant; looked up once a request, though routing and answering both ask."""
    if not hasattr(request, "licence"):
        request.licence = find(key)  # type: ignore[attr-defined]
    return request.licence  # type: ignore[attr-defined,no-any-return]


def not_found(request: HttpRequest, contract: ModuleType) -> Answer:
    return contract.NOT_FOUND  # type: ignore[no-any-return]


ENDPOINTS: dict[tuple[str, str], Callable[..., Any]] = {
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
OF_ONE: dict[tuple[str, str], Callable[..., Any]] = {
    ("GET", "auth/users"): signed_in_with_key(_user, superuser=True),
    ("DELETE", "auth/users"): signed_in_with_key(_delete_user, superuser=True),
    ("GET", "tenants"): signed_in_with_key(_tenant),
    ("GET", "licenses/validate"): validate,
}
"""Endpoints whose path goes on with a key."""


def answer(request: HttpRequest, path: str, contract: ModuleType) -> Answer:
    """The IAM's answer to a legacy request."""
    method = request.method or "GET"
    if path == "users" and contract.__name__.endswith("observed"):
        return not_found(request, contract)
    if found := ENDPOINTS.get((method, path)):
        return found(request, contract)  # type: ignore[no-any-return]
    collection, key = _split(path)
    if key and (found := OF_ONE.get((method, collection))):
        return found(request, contract, key)  # type: ignore[no-any-return]
    return not_found(request, contract)


def name_of(path: str) -> str:
    """The endpoint without the key in its path, as statistics want it; what nobody serves is all one."""
    if any(path == known for _, known in ENDPOINTS):
        return path
    collection, key = _split(path)
    return f"{collection}/…" if key else "(unknown)"


def _split(path: str) -> tuple[str, str]:
    """The collection and the key after it; a licence key may hold slashes."""
    for collection in sorted({known for _, known in OF_ONE}, key=len, reverse=True):
        if path.startswith(f"{collection}/"):
            return collection, path.removeprefix(f"{collection}/")
    return path, ""
