"""Where a legacy request goes: kill switch, then the tenant's home, then the version; on the record, but never its body."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Literal

import structlog
from django.conf import settings
from django.db import DatabaseError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import resolve
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from flags import homes, maintenance
from flags.models import TenantHome
from iam import bearers, throttles, totp
from iam.api.problems import no_such_page
from iam.sign_in import canonical
from legacy_compat import headers, iam_away, measured, passing, paths, proxy, reads, record, serve, shadow, versions
from legacy_compat.call import LOGINS, SIGN_INS, LegacyCall, parse, read
from legacy_compat.contracts import documented, observed
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import TOO_MANY, Answer
from legacy_compat.models import LegacyRequest
from legacy_compat.served.auth import LivesInLegacy
from legacy_compat.served.licences import AskLegacy

log = structlog.get_logger(__name__)
_CONTRACTS: dict[str, Contract] = {"documented": documented, "observed": observed}
_SAFE = ("GET", "HEAD", "OPTIONS")
_MOVING = ("PT403", "40001")
"""What the guard says to a write that met a move after all: tried again it goes to the new home."""


def contract() -> Contract:
    """The deployment's profile."""
    return _CONTRACTS[settings.LEGACY_CONTRACT]


@csrf_exempt
def legacy(request: HttpRequest, path: str) -> HttpResponseBase:
    """Any request under /api/ that legacy clients may make."""
    began, at = time.monotonic(), timezone.now()
    call, home, status = parse(request, path.rstrip("/")), TenantHome.Home.IAM.value, 500
    setattr(request, measured.RECORDED, True)
    try:
        response, call, home = _asked(request, call, home)
        if call.version is versions.OLD:
            for name, value in versions.headers(call.path).items():
                response.headers.setdefault(name, value)
            response = headers.close(response)
        status = response.status_code
        return response
    finally:  # also of what breaks: a fault that nobody counts is none
        _note(LegacyRequest(
            at=at, method=call.method[:10], endpoint=serve.name_of(call.path), version=call.version.name, client=call.client,
            home=str(home), tenant=call.tenant[:64], user=call.user[:64], status=status,
            milliseconds=round((time.monotonic() - began) * 1000, 2),
        ))  # fmt: skip


def _asked(request: HttpRequest, call: LegacyCall, home: str) -> tuple[HttpResponseBase, LegacyCall, str]:
    """The answer, the call as it was read, and whose answer it is."""
    if closed := _closed(call):
        return headers.served(request, _response(closed), None), call, maintenance.CLOSED
    if refusal := paths.refusal(request):
        return _response(refusal), call, home
    try:
        call = read(request, call.path, contract())
        home = _home(call)
        response, home = _answered(request, call, home)
    except (throttles.Unavailable, totp.Unreadable):
        response = _response(contract().UNAVAILABLE)
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") not in _MOVING and not isinstance(error, OperationalError):
            raise
        log.warning("unavailable", endpoint=serve.name_of(call.path), tenant=call.tenant)
        response = _response(contract().UNAVAILABLE)
    return response, call, home


def _closed(call: LegacyCall) -> Answer | None:
    """The contract's 503, for what would write while the doors are closed."""
    seconds = maintenance.retry_after(call.method, reads=call.path == "licenses/validate")
    if seconds is None:
        return None
    return replace(contract().UNAVAILABLE, headers=contract().UNAVAILABLE.headers | {"Retry-After": str(seconds)})


def _home(call: LegacyCall) -> str:
    """Who answers: by the canonical tenant alone. A login that cannot be placed is answered here, never by whichever."""
    login = call.method == "POST" and call.path in LOGINS and (isinstance(call.credentials, Answer) or call.apart)
    # What we cannot read, legacy might: nobody's refresh token is tried there unseen.
    refresh = (call.method, call.path) == ("POST", "auth/refresh") and call.text("refresh_token") is None
    if (login or refresh) and not settings.LEGACY_SERVED_BY:
        return TenantHome.Home.IAM.value
    return homes.serving(call.tenant, write=call.method not in _SAFE)


def _answered(request: HttpRequest, call: LegacyCall, home: str) -> tuple[HttpResponseBase, str]:
    """The answer, and whose it is. Raises Unavailable."""
    count = _count(call, home)
    if count is False:
        return headers.served(request, _response(TOO_MANY), None), TenantHome.Home.IAM.value
    if home == TenantHome.Home.LEGACY:
        if read_first := reads.answer(request, call, contract()):
            return _read_first(request, call, read_first, count), TenantHome.Home.IAM.value
        return _proxied(request, call), home
    if call.version is versions.NEW:
        return _by_the_new_api(request, call.path), home
    if asked := headers.preflight(request):
        return asked, home
    try:
        answer = paths.slash(request, serve.template(call.path)) or serve.answer(call, contract())
    except (LivesInLegacy, AskLegacy):
        return _proxied(request, call), TenantHome.Home.LEGACY.value
    except serve.PassOn:
        return _passed_on(request, call), TenantHome.Home.LEGACY.value
    return headers.served(request, _response(answer), count), home


def _read_first(request: HttpRequest, call: LegacyCall, answer: Answer, count: throttles.Count | None) -> HttpResponse:
    """What legacy would have counted is counted here."""
    counted = count or _count(call, TenantHome.Home.IAM.value)
    if counted is False:
        return headers.served(request, _response(TOO_MANY), None)
    return headers.served(request, _response(answer), counted)


def _count(call: LegacyCall, home: str) -> throttles.Count | Literal[False] | None:
    """This call among those of its client in this minute; False when it is one too many. Who comes with a good token is known
    by it, others, and all who sign in, by their network. What legacy answers outside of auth/ it counts itself.
    """
    auth = call.path.startswith("auth/")
    limit = settings.AUTH_CALLS_A_MINUTE if auth else settings.OTHER_CALLS_A_MINUTE
    if not limit or call.method == "OPTIONS" or (home == TenantHome.Home.LEGACY and not auth):
        return None
    by_network = not call.user or call.path in SIGN_INS
    key, kind = throttles.network(call.ip) if by_network else call.token, throttles.SIGN_IN if auth else "legacy"
    return throttles.count(kind, key, limit, write=call.method not in _SAFE) or False


def _passed_on(request: HttpRequest, call: LegacyCall) -> HttpResponseBase:
    """What legacy goes on to answer for a tenant that has moved, to whom the IAM lets in."""
    if not proxy.configured():
        return _response(contract().NOT_FOUND)
    if refused := passing.refusal(call, contract()):
        return _response(refused)
    return _proxied(request, call)


def _response(answer: Answer) -> HttpResponse:
    response = HttpResponse(
        answer.content, status=answer.status, content_type="application/json", headers=answer.headers
    )
    if isinstance(answer.body, bytes):  # nothing: a 204, or a redirection
        del response["Content-Type"]
    return response


def _proxied(request: HttpRequest, call: LegacyCall) -> HttpResponseBase:
    if call.path == "auth/refresh" and iam_away.revoked(call.text("refresh_token") or ""):
        return _response(contract().BAD_REFRESH)
    if call.token and (passing.unreadable(call) or iam_away.revoked(call.token)):
        return _response(contract().BAD_TOKEN)
    answer = proxy.forward(request, passing.client(call))
    if call.method not in _SAFE:
        reads.wrote(call)
    if isinstance(answer, Answer):
        return _response(answer)
    if isinstance(answer, HttpResponse):  # not one that is streamed
        if _signs_in_a_moved_tenant(call, answer):
            return _response(contract().WRONG if call.path in LOGINS else contract().BAD_REFRESH)
        shadow.consider(request, call, answer.status_code, answer.content, contract())
    return answer


def _signs_in_a_moved_tenant(call: LegacyCall, answer: HttpResponse) -> bool:
    """Whether legacy gave tokens for a tenant that has left it. It keeps a copy of such users, and knows no lock-out of ours."""
    if call.path not in SIGN_INS or answer.status_code != 200 or settings.LEGACY_SERVED_BY:
        return False
    try:
        given = json.loads(answer.content)
        tenant = bearers.about(str(given["access_token"])).tenant
    except (ValueError, TypeError, KeyError):
        return False
    moved = bool(tenant) and homes.of(canonical(tenant)).home == TenantHome.Home.IAM
    if moved:
        log.warning("legacy_signed_in_a_moved_tenant", endpoint=call.path, tenant=tenant)
    return moved


def _by_the_new_api(request: HttpRequest, path: str) -> HttpResponse:
    """A legacy path at which the new version was asked for is answered by the new API."""
    address = versions.successor(path)
    if address is None:
        return no_such_page(request)
    request.path = request.path_info = address
    match = resolve(address)
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    return response


def _note(made: LegacyRequest) -> None:
    made.request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64]
    record.request(made)
    log.info(
        "legacy_request", method=made.method, endpoint=made.endpoint, version=made.version, home=made.home,
        status=made.status, milliseconds=made.milliseconds, client=made.client,
    )  # fmt: skip
