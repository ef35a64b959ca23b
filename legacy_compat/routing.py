"""Where a legacy request goes: to the legacy system or to the IAM, by the tenant's home; in one log line each, never a body."""

from __future__ import annotations

import time
from types import ModuleType

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from flags import homes
from flags.models import TenantHome
from iam import tokens
from iam.models import License
from iam.sign_in import candidates, too_often
from legacy_compat import proxy, serve
from legacy_compat.contracts import documented, observed
from legacy_compat.contracts.shapes import TOO_MANY, Answer
from legacy_compat.reading import bearer, fields

log = structlog.get_logger(__name__)
_CONTRACTS = {"documented": documented, "observed": observed}
_SAFE = ("GET", "HEAD", "OPTIONS")


def contract() -> ModuleType:
    """The deployment's profile."""
    return _CONTRACTS[settings.LEGACY_CONTRACT]


@csrf_exempt
def legacy(request: HttpRequest, path: str) -> HttpResponse:
    """Any request under /api/ that legacy clients may make."""
    began = time.monotonic()
    path = path.rstrip("/")
    home = TenantHome.Home.IAM.value
    if path.startswith("auth/") and too_often(request.META.get("REMOTE_ADDR", "")):
        answer: HttpResponse | Answer = TOO_MANY
    else:
        home = homes.serving(_tenant_of(request, path), write=request.method not in _SAFE)
        answer = proxy.forward(request) if home == TenantHome.Home.LEGACY else _served(request, path)
    response = _response(answer) if isinstance(answer, Answer) else answer
    log.info(
        "legacy_request", method=request.method, endpoint=path, home=str(home), status=response.status_code,
        milliseconds=round((time.monotonic() - began) * 1000, 1), client=request.headers.get("User-Agent", "")[:100],
    )  # fmt: skip
    return response


def _response(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.content, status=answer.status, content_type="application/json", headers=answer.headers)


def _served(request: HttpRequest, path: str) -> Answer:
    profile = contract()
    if path == "users" and profile is observed:
        return observed.NOT_FOUND
    if path.startswith("licenses/validate/"):
        return serve.validate(request, profile, path.removeprefix("licenses/validate/"))
    endpoint = serve.ENDPOINTS.get((request.method or "GET", path), serve.not_found)
    return endpoint(request, profile)  # type: ignore[no-any-return]


def _tenant_of(request: HttpRequest, path: str) -> str:
    if token := bearer(request):
        return tokens.tenant_of(token)
    asked = fields(request) if request.method == "POST" else {}
    if path == "auth/refresh":
        return tokens.tenant_of(str(asked.get("refresh_token", "")))
    if path == "auth/login":
        return _tenant_of_login(request)
    if path.startswith("licenses/validate"):
        key = (
            path.removeprefix("licenses/validate").lstrip("/")
            or request.GET.get("license_key")
            or asked.get("license_key")
        )
        found = License.objects.filter(license_key=str(key)).values_list("tenant_id", flat=True).first()
        return str(found) if found else ""
    return ""


def _tenant_of_login(request: HttpRequest) -> str:
    """The tenant a login names, or the one home that all users of that name share."""
    asked = contract().credentials(request.content_type or "", fields(request))
    if isinstance(asked, Answer):
        return ""
    name, _, tenant = asked
    if tenant:
        return str(tenant).lower()
    found = [str(user.tenant_id) for user in candidates(name, "")]
    return found[0] if len({homes.of(id).home for id in found}) == 1 else ""
