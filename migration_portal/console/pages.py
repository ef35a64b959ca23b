"""Pages in the console's frame, and the small parts of them that lists and templates need as text."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

COUNTED = "counted"
"""In the address by which a page asks for what takes longer to count than a page may take."""
_BADGES = {
    "completed done copied accepted restored ok applied swapped validated taken": ("p-ok", "check_circle"),
    "failed error blocked tampered broken": ("p-bad", "error"),
    "running requested preparing holding undoing": ("p-info", "autorenew"),
    "paused pausing": ("p-warn", "pause_circle"),
    "cancelling cancelled": ("p-warn", "cancel"),
    "warning open unverified": ("p-warn", "warning"),
    "info": ("", "info"),
    "undone withdrawn": ("", "undo"),
    "rejected": ("p-warn", "block"),
    "expired": ("", "timer_off"),
    "agreed": ("p-info", "how_to_reg"),
    "removed dropped left": ("", "delete"),
    "asks": ("p-warn", "front_hand"),
    "stopped": ("p-warn", "stop_circle"),
    "skipped": ("p-warn", "skip_next"),
    "held": ("p-warn", "lock"),
    "released": ("", "lock_open"),
    "due": ("p-info", "inventory_2"),
    "being_written": ("", "edit_note"),
    "not_needed": ("", "remove"),
}
_BY_STATE = {state: look for states, look in _BADGES.items() for state in states.split()}


def page(request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
    """A page in the console's frame."""
    return TemplateResponse(request, template, admin.site.each_context(request) | {"title": title, **context})


def counting(request: HttpRequest) -> bool:
    """Whether the page is asked for with what it counts."""
    return COUNTED in request.GET


def icon(name: str) -> SafeString:
    """An icon that says nothing to a screen reader: there is always a word beside it."""
    return format_html('<span class="material-symbols-outlined" aria-hidden="true">{}</span>', name)


def badge(state: str) -> SafeString:
    """A state as text with its icon, in the colour of its kind."""
    kind, name = _BY_STATE.get(state.replace(" ", "_"), ("", "schedule"))
    return format_html('<span class="p-badge {}">{}{}</span>', kind, icon(name), state)
