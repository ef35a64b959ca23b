"""Binds the signed-in user as the actor of whatever the request does."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from migration_portal.audit.chain import actor


def actor_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        token = actor.set(request.user.get_username() if request.user.is_authenticated else "anonymous")
        try:
            return get_response(request)
        finally:
            actor.reset(token)

    return middleware
