"""Which function answers which legacy request from the IAM, whatever the profile it is answered in."""

from __future__ import annotations

import re

from legacy_compat.call import LegacyCall
from legacy_compat.contracts.paging import Page, Sent, Skipping
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.released import HEALTHY, NOT_ADMINISTRATOR, NOT_ENOUGH, NOT_PRIVILEGED
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import applications, auth, licences, roles, sessions, tenants, user_admin, users
from legacy_compat.served.access import Endpoint as Function
from legacy_compat.served.access import signed_in
from legacy_compat.surface import PASSED_ON, Endpoint, pattern


class PassOn(Exception):
    """Nothing of ours: legacy answers, for a tenant that has moved as well."""


def _for_superusers(do: Function, words: str = NOT_ENOUGH, **more: type[Sent]) -> Function:
    return signed_in(do, superuser=words, **more)


_TABLE: dict[str, dict[str, Function]] = {
    "auth/login": {"POST": auth.login},
    "auth/v1/login": {"POST": auth.login},
    "auth/refresh": {"POST": auth.refresh},
    "auth/logout": {"POST": signed_in(auth.logout)},
    "auth/change-password": {"POST": signed_in(auth.change_password)},
    "auth/me": {"GET": signed_in(auth.me)},
    "auth/v1/forgot-password": {"POST": auth.always(auth.RESET_SENT)},
    "auth/v1/reset-password": {"POST": auth.always(auth.BAD_RESET)},
    "auth/v1/resend-verification": {"POST": auth.always(auth.VERIFICATION_SENT)},
    "auth/v1/verify-email": {"POST": auth.always(auth.BAD_VERIFICATION)},
    "auth/users": {"GET": _for_superusers(users.listed), "POST": _for_superusers(users.created)},
    "auth/users/{id}": {
        "GET": signed_in(users.shown), "PUT": signed_in(users.changed), "DELETE": _for_superusers(users.removed),
    },
    "auth/v1/users": {"GET": _for_superusers(user_admin.listed, NOT_ADMINISTRATOR, query=user_admin.Wanted)},
    "auth/v1/users/me/profile": {"GET": signed_in(auth.me), "PUT": signed_in(users.own_changed)},
    "auth/v1/users/bulk-create": {"POST": _for_superusers(user_admin.created_many)},
    "auth/v1/users/bulk-update": {"PUT": _for_superusers(user_admin.changed_many)},
    "auth/v1/users/bulk-delete": {"DELETE": _for_superusers(user_admin.removed_many)},
    "auth/v1/users/export": {"GET": _for_superusers(user_admin.exported, query=user_admin.Form)},
    "auth/v1/users/{id}/activate": {"PATCH": _for_superusers(user_admin.activated)},
    "auth/v1/users/{id}/deactivate": {"PATCH": _for_superusers(user_admin.deactivated)},
    "auth/v1/users/{id}/verify-email": {"PATCH": _for_superusers(user_admin.verified)},
    "users": {"GET": _for_superusers(users.listed)},
    "tenants": {"GET": signed_in(tenants.listed, query=Page), "POST": _for_superusers(tenants.created)},
    "tenants/{id}": {
        "GET": signed_in(tenants.shown), "PUT": _for_superusers(tenants.changed),
        "DELETE": _for_superusers(tenants.removed),
    },
    "health": {"GET": auth.always(HEALTHY)},
    "tenants/{id}/licenses": {"GET": signed_in(licences.of_tenant, query=Page)},
    "licenses": {"GET": signed_in(licences.listed, query=licences.Wanted), "POST": signed_in(licences.created)},
    "licenses/validate": {"GET": licences.validated, "POST": licences.validated},
    "licenses/validate/{key:path}": {"GET": licences.validated},
    "licenses/{id}": {
        "GET": signed_in(licences.shown), "PUT": signed_in(licences.changed), "DELETE": signed_in(licences.removed),
    },
    "v1/roles/": {"GET": _for_superusers(roles.listed, NOT_PRIVILEGED, query=Skipping),
                  "POST": _for_superusers(roles.created, NOT_PRIVILEGED)},
    "v1/roles/permissions/": {"GET": _for_superusers(roles.permissions, NOT_PRIVILEGED, query=Skipping)},
    "v1/roles/users/{id}/permissions": {"GET": _for_superusers(roles.of_user, NOT_PRIVILEGED)},
    "v1/roles/users/{id}/roles/{role}": {
        "POST": _for_superusers(roles.assigned, NOT_PRIVILEGED), "DELETE": _for_superusers(roles.taken_away, NOT_PRIVILEGED),
    },
    "v1/roles/{id}/permissions/{permission}": {
        "POST": _for_superusers(roles.granted, NOT_PRIVILEGED), "DELETE": _for_superusers(roles.withdrawn, NOT_PRIVILEGED),
    },
    "v1/roles/{id}": {
        "GET": _for_superusers(roles.shown, NOT_PRIVILEGED), "PUT": _for_superusers(roles.changed, NOT_PRIVILEGED),
        "DELETE": _for_superusers(roles.removed, NOT_PRIVILEGED),
    },
    "v1/sessions/": {"GET": signed_in(sessions.listed, query=Skipping), "POST": signed_in(sessions.created)},
    "v1/sessions/{id}": {"GET": signed_in(sessions.shown), "DELETE": signed_in(sessions.removed)},
    "v1/applications/": {"GET": signed_in(applications.listed, query=Skipping), "POST": _for_superusers(applications.created)},
    "v1/applications/{client_id}": {
        "GET": signed_in(applications.shown), "PUT": _for_superusers(applications.changed),
        "DELETE": _for_superusers(applications.removed),
    },
    "v1/applications/{client_id}/secret": {"POST": _for_superusers(applications.new_secret)},
    "v1/applications/{client_id}/users/{id}": {
        "POST": _for_superusers(applications.granted), "DELETE": _for_superusers(applications.withdrawn),
    },
}  # fmt: skip
"""More special paths first, so that none is taken for another's key."""
ENDPOINTS = {Endpoint(path, method): do for path, methods in _TABLE.items() for method, do in methods.items()}
_PATHS = [(path, pattern(path.rstrip("/"))) for path in _TABLE]
_LEGACYS = [pattern(path) for path in {endpoint.path: None for endpoint in PASSED_ON}]


def answer(call: LegacyCall, contract: Contract) -> Answer:
    """The IAM's answer to a legacy request. Raises PassOn for what is legacy's, and what the functions raise."""
    if call.path in contract.ABSENT:
        return contract.NOT_FOUND
    found = _found(call.path)
    if found is None:
        raise PassOn
    path, named = found
    methods = _TABLE[path]
    if call.method not in methods:
        return Answer(405, {"detail": "Method Not Allowed"}, {"Allow": ", ".join(methods)})
    return methods[call.method](call, contract, *named)


def template(path: str) -> str | None:
    """How the released service writes the path of an endpoint that is served here."""
    found = _found(path)
    return found[0] if found else None


def name_of(path: str) -> str:
    """The endpoint without the keys in its path, as statistics want it; what the released service never had is all one."""
    if found := _found(path):
        return _without_keys(found[0])
    known = (_without_keys(endpoint.path) for endpoint in PASSED_ON if pattern(endpoint.path).fullmatch(path))
    return next(known, "(unknown)")


def _without_keys(template: str) -> str:
    return re.sub(r"\{[^}]+\}", "…", template).rstrip("/")


def _found(path: str) -> tuple[str, tuple[str, ...]] | None:
    if any(known.fullmatch(path) for known in _LEGACYS):
        return None  # licenses/issue is nobody's licence
    for template, known in _PATHS:
        if match := known.fullmatch(path):
            return template, match.groups()
    return None
