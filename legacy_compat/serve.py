"""The legacy endpoints served from the IAM: what each does, whatever the profile it is answered in."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from flags import homes
from iam import passwords, tokens
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


def _me(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    return Answer(200, contract.user(user))


def _logout(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    tokens.revoke(bearer(request))
    return contract.LOGGED_OUT  # type: ignore[no-any-return]


def _change_password(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    asked = fields(request)
    if absent := [name for name in ("current_password", "new_password") if not isinstance(asked.get(name), str)]:
        return contract.missing(*absent)  # type: ignore[no-any-return]
    if not passwords.verify_as_legacy(asked["current_password"], user.hashed_password):
        return contract.WRONG_CURRENT  # type: ignore[no-any-return]
    now = timezone.now()
    changed = passwords.hashed(asked["new_password"], final=homes.of(str(user.tenant_id)).final)
    User.objects.filter(pk=user.pk).update(hashed_password=changed, updated_at=now, last_password_change=now)
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
    return contract.users(list(found[start : start + size]), found.count(), first, size)  # type: ignore[no-any-return]


def _tenants(request: HttpRequest, contract: ModuleType, user: User) -> Answer:
    numbers = _numbers(request, contract, {"page": 1, "size": 10}, most=_MOST_SIZE)
    if isinstance(numbers, Answer):
        return numbers
    page, size = numbers
    found = Tenant.objects.filter(pk=user.tenant_id)
    return contract.tenants(  # type: ignore[no-any-return]
        list(found[(page - 1) * size : page * size]), found.count(), page, size
    )


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
    found = License.objects.select_related("tenant").filter(license_key=wanted).first()
    return contract.validation(found, timezone.now())  # type: ignore[no-any-return]


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
    ("GET", "licenses/validate"): validate,
    ("POST", "licenses/validate"): validate,
}
