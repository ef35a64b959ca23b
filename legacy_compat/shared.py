"""/api/v1/, where both APIs live: the new one, and the released service's roles, sessions and applications."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLResolver
from django.urls.resolvers import RegexPattern
from django.views.decorators.csrf import csrf_exempt

from iam import forms, maintenance
from iam.api.problems import no_such_page
from iam.api.root import api
from legacy_compat import serve, versions
from legacy_compat.call import bearer
from legacy_compat.routing import legacy

_NEW = URLResolver(RegexPattern(r"^/api/v1/"), api.urls[0])


@csrf_exempt
def shared(request: HttpRequest, path: str) -> HttpResponseBase:
    """A request with a token of legacy's form goes to the legacy endpoints. Any other goes to the new API, unless only the
    legacy endpoints have the address (the new API writes its lists without a slash at the end).
    """
    known, old = _known(request), versions.asked(request) is versions.OLD
    served = serve.template(f"v1/{path.rstrip('/')}") is not None
    if old and (_of_legacy_form(bearer(request)) or (served and not known)):
        return legacy(request, f"v1/{path}")
    if not known:
        return no_such_page(request)
    if closed := maintenance.refusal(request):
        return closed
    match = _NEW.resolve(request.path_info)
    answer: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    return answer


def _known(request: HttpRequest) -> bool:
    try:
        return bool(_NEW.resolve(request.path_info))
    except Resolver404:
        return False


def _of_legacy_form(token: str) -> bool:
    try:
        return "iss" not in forms.verified(token)
    except forms.BadToken:
        return False
