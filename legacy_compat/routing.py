"""Where a legacy request goes: kill switch, then the tenant's home, then the version; on the record, but never its body."""

from __future__ import annotations

import time
from types import ModuleType

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import resolve
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from flags import homes
from flags.models import TenantHome
from iam import tokens
from iam.api.problems import no_such_page
from iam.sign_in import candidates, too_often
from legacy_compat import proxy, record, serve, shadow, versions
from legacy_compat.contracts import documented, observed
from legacy_compat.contracts.shapes import TOO_MANY, Answer
from legacy_compat.models import LegacyRequest
from legacy_compat.reading import bearer, client_of, fields

log = structlog.get_logger(__name__)
_CONTRACTS = {"documented": documented, "observed": observed}
_SAFE = ("GET", "HEAD", "OPTIONS")


def contract() -> ModuleType:
    """The deployment's profile."""
    return _CONTRACTS[settings.LEGACY_CONTRACT]


@csrf_exempt
def legacy(request: HttpRequest, path: str) -> HttpResponseBase:
    """Any request under /api/ that legacy clients may make."""
    began, at = time.monotonic(), timezone.now()
    path = path.rstrip("/")
    version, home, tenant, user = versions.asked(request), TenantHome.Home.IAM.value, "", ""
    if path.startswith("auth/") and too_often(request.META.get("REMOTE_ADDR", "")):
        response: HttpResponseBase = _response(TOO_MANY)
    else:
        tenant, user = _about(request, path)
        home = homes.serving(tenant, write=request.method not in _SAFE)
        if home == TenantHome.Home.LEGACY:
            response = _proxied(request, path, tenant)
        elif version is versions.NEW:
            response = _by_the_new_api(request, path)
        else:
            response = _response(serve.answer(request, path, contract()))
    if version is versions.OLD:
        for name, value in versions.headers(path).items():
            response.headers.setdefault(name, value)
    _note(request, LegacyRequest(
        at=at, method=(request.method or "")[:10], endpoint=serve.name_of(path), version=version.name,
        client=client_of(request), home=str(home), tenant=tenant[:64], user=user[:64], status=response.status_code,
        milliseconds=round((time.monotonic() - began) * 1000, 2),
    ))  # fmt: skip
    return response


def _response(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.content, status=answer.status, content_type="application/json", headers=answer.headers)


def _proxied(request: HttpRequest, path: str, tenant: str) -> HttpResponseBase:
    if (token := bearer(request)) and tokens.revoked(token):
        return _response(contract().BAD_TOKEN)
    answer = proxy.forward(request)
    if isinstance(answer, Answer):
        return _response(answer)
    if isinstance(answer, HttpResponse):  # not one that is streamed
        shadow.consider(request, path, tenant, answer.status_code, answer.content, contract())
    return answer


def _by_the_new_api(request: HttpRequest, path: str) -> HttpResponse:
    """A legacy path at which the new version was asked for is answered by the new API."""
    address = versions.successor(path)
    if address is None:
        return no_such_page(request)
    request.path = request.path_info = address
    found = resolve(address)
    response: HttpResponse = found.func(request, *found.args, **found.kwargs)
    return response


def _note(request: HttpRequest, made: LegacyRequest) -> None:
    made.request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64]
    record.request(made)
    log.info(
        "legacy_request", method=made.method, endpoint=made.endpoint, version=made.version, home=made.home,
        status=made.status, milliseconds=made.milliseconds, client=made.client,
    )  # fmt: skip


def _about(request: HttpRequest, path: str) -> tuple[str, str]:
    """The tenant and the user that a request is about, as far as it says; empty where it does not."""
    if token := bearer(request):
        return tokens.about(token)
    asked = fields(request) if request.method == "POST" else {}
    if path == "auth/refresh":
        return tokens.about(str(asked.get("refresh_token", "")))
    if path == "auth/login":
        return _about_login(request)
    if path.startswith("licenses/validate"):
        key = (
            path.removeprefix("licenses/validate").lstrip("/")
            or request.GET.get("license_key")
            or asked.get("license_key")
        )
        licence = serve.licence_by_key(request, str(key))
        return (str(licence.tenant_id) if licence and licence.tenant_id else ""), ""
    return "", ""


def _about_login(request: HttpRequest) -> tuple[str, str]:
    """The tenant a login names, or the one home that all users of that name share."""
    asked = contract().credentials(request.content_type or "", fields(request))
    if isinstance(asked, Answer):
        return "", ""
    name, _, tenant = asked
    found = candidates(name, str(tenant).lower())
    user = str(found[0].pk) if len(found) == 1 else ""
    if tenant:
        return str(tenant).lower(), user
    tenants = [str(one.tenant_id) for one in found]
    return (tenants[0] if len({homes.of(id).home for id in tenants}) == 1 else ""), user
