"""What every screen of the console shares: read-only lists, rendering a page, and doing one thing on a POST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin

from migration_portal.engine.errors import describe
from migration_portal.plan.errors import Refusal


class ReadOnlyAdmin(ModelAdmin):
    """Records that nobody edits in a form."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def page(request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
    """A page in the console's frame."""
    return TemplateResponse(request, template, admin.site.each_context(request) | {"title": title, **context})


def need(request: HttpRequest, permission: str) -> None:
    """Raises PermissionDenied without it."""
    if not request.user.has_perm(permission):
        raise PermissionDenied


def act(request: HttpRequest, permission: str, do: Callable[[], Any], *, back: str, done: str) -> HttpResponse:
    """Do one thing: only by POST, only with the permission; tell what came of it and go `back`.

    `done` is the message of success; where `do` returns text, that is shown instead.
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    need(request, permission)
    try:
        answer = do()
    except Refusal as refusal:
        messages.error(request, str(refusal))
    except psycopg.Error as error:
        messages.error(request, str(describe(error)))
    else:
        messages.success(request, answer if isinstance(answer, str) else done)
    return redirect(back)


def by(request: HttpRequest) -> str:
    """Who asks, for the record."""
    return request.user.get_username()


def reason(request: HttpRequest) -> str:
    """The reason typed into the dialog."""
    return request.POST.get("reason", "").strip()
