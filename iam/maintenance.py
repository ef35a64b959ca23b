"""The doors of the IAM while they are closed to writes: the new API's problem, and OAuth's error."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from flags import maintenance
from iam.api import problems
from iam.api.problems import Problem
from iam.oauth.pages import page

_SENTENCE = "The system is being maintained. Nothing was changed; please try again."
_READS = ("/api/v1/licenses/validate", "/oauth/introspect", "/oauth/userinfo")
"""What is posted and writes nothing."""
_SIGN_INS = ("oauth_authorize", "oauth_second_factor", "social_start", "social_callback")
"""What a browser gets, and a code or a session comes of."""

_PROGRAMS = ("oauth_token", "oauth_revoke", "oauth_introspect", "oauth_userinfo")
"""Who reads an answer of theirs is no person."""


def middleware(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """For the paths of the IAM alone: under those that legacy shares with it, who answers is decided later."""

    def doors(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    def process_view(request: HttpRequest, *view: object) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or not match.route.startswith(("api/v1/", "oauth/")):
            return None
        return refusal(request, signs_in=match.url_name in _SIGN_INS)

    doors.process_view = process_view  # type: ignore[attr-defined]
    return doors


def refusal(request: HttpRequest, *, signs_in: bool = False) -> HttpResponse | None:
    """503 with Retry-After, when the request would write and the doors are closed. `signs_in` is a GET that does."""
    method = "POST" if signs_in else request.method or ""
    seconds = maintenance.retry_after(method, reads=request.path.rstrip("/") in _READS)
    if seconds is None:
        return None
    headers = {"Retry-After": str(seconds)}
    setattr(request, maintenance.CLOSED, True)
    if not request.path.startswith("/oauth/"):
        return problems.answer(Problem(503, "maintenance", _SENTENCE, headers=headers))
    if _for_people(request):
        answer = page(request, "message", {"title": "Closed for maintenance", "message": _SENTENCE}, 503)
    else:
        answer = JsonResponse({"error": "temporarily_unavailable", "error_description": _SENTENCE}, status=503)
    answer["Retry-After"] = headers["Retry-After"]
    return answer


def _for_people(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and match.url_name not in _PROGRAMS
