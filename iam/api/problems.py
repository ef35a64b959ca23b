"""Errors of the new API as RFC 9457 problem details: what happened, and where there is one, what to do next."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from django.db import DatabaseError, DataError, IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError

from iam import at_login, throttles, totp

log = structlog.get_logger(__name__)
CONTENT_TYPE = "application/problem+json"


class ProblemOut(Schema):
    """RFC 9457. `type` names the kind of problem for programs, `detail` says it to people."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] | None = None


class Problem(Exception):
    """Raised by an endpoint, answered as problem details."""

    def __init__(self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, headers or {}


def answer(problem: Problem, **more: Any) -> HttpResponse:
    body = {
        "type": f"urn:sigma-transit:problem:{problem.kind}", "title": HTTPStatus(problem.status).phrase,
        "status": problem.status, "detail": problem.detail, **more,
    }  # fmt: skip
    return JsonResponse(body, status=problem.status, content_type=CONTENT_TYPE, headers=problem.headers)


def no_such_page(request: HttpRequest, rest: str = "") -> HttpResponse:
    return answer(Problem(404, "not-found", "There is nothing at this address; see /api/v1/docs."))


def _problem(request: HttpRequest, error: Problem) -> HttpResponse:
    return answer(error)


def _unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return answer(Problem(401, "not-authenticated", "A valid access token is needed.", headers=challenge))


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [{name: entry[name] for name in ("type", "loc", "msg") if name in entry} for entry in error.errors]
    return answer(Problem(422, "invalid", "Some fields are missing or wrong."), errors=errors)


def _refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    return answer(Problem(error.status_code, "bad-request", str(error)))


def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return answer(Problem(404, "not-found", "There is no such object in your tenant."))


def _unstorable(request: HttpRequest, error: DataError) -> HttpResponse:
    return answer(Problem(422, "invalid", "Some value cannot be stored: too long, or with characters no text has."))


def _conflict(request: HttpRequest, error: IntegrityError) -> HttpResponse:
    return answer(
        Problem(409, "conflict", "Another object has this name, e-mail or key already, or still needs this one.")
    )


def _unavailable(request: HttpRequest, error: DatabaseError) -> HttpResponse:
    log.error("api_database", error=str(error).splitlines()[0][:200])
    return answer(Problem(503, "unavailable", "The database does not answer; try again.", headers={"Retry-After": "5"}))


def _uncounted(request: HttpRequest, error: throttles.Unavailable) -> HttpResponse:
    what = "Sign-ins cannot be checked" if isinstance(error, at_login.Away) else "Calls cannot be counted"
    return answer(Problem(503, "unavailable", f"{what} now; try again.", headers={"Retry-After": "5"}))


def _uncheckable(request: HttpRequest, error: totp.Unreadable) -> HttpResponse:
    return answer(Problem(503, "codes-unavailable", "One-time codes cannot be checked: tell the operators."))


_HANDLERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    Problem: _problem,
    AuthenticationError: _unauthenticated,
    ValidationError: _invalid,
    HttpError: _refused,
    Http404: _missing,
    DataError: _unstorable,
    IntegrityError: _conflict,
    DatabaseError: _unavailable,
    throttles.Unavailable: _uncounted,
    totp.Unreadable: _uncheckable,
}


def install(api: NinjaAPI) -> None:
    """Turn every kind of failure into a problem; none of them shows a traceback or what was sent."""
    for kind, handler in _HANDLERS.items():
        api.add_exception_handler(kind, handler)
