"""Records that nobody edits in a form."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from unfold.admin import ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """A list, and a page for each record."""

    list_per_page = 25  # a row costs some five milliseconds

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def one(self, request: HttpRequest, object_id: str) -> Any:
        """The record of a page. Raises Http404, also for what is no key at all."""
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404
        return found

    def filtered(self, request: HttpRequest, **also: Any) -> Any:
        """What the list shows with the filters in the query string."""
        rows = self.get_changelist_instance(request).get_queryset(request)
        return rows.filter(**also) if also else rows
