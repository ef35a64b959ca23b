"""Small shapes for templates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.db.models import Model
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from migration_portal import console
from migration_portal.approvals.actions import named
from migration_portal.audit.models import verb_text
from migration_portal.runs.estimate import duration

register = template.Library()
register.simple_tag(console.badge)
register.simple_tag(console.icon)
register.filter(duration)


@register.filter
def percent(fraction: float) -> int:
    """0.427 -> 42: rounded down, so that 100 means done."""
    return int(fraction * 100 + 1e-9)


@register.filter
def tenths(fraction: float) -> int:
    """0.427 -> 40."""
    return int(fraction * 10 + 1e-9) * 10


@register.filter
def share(value: float, most: float) -> int:
    """Per cent of the largest, at least 1 so that a bar is seen."""
    return max(1, round(100 * value / most)) if most and value else 0


@register.filter
def get(mapping: Any, key: str) -> Any:
    return mapping.get(key) if mapping else None


@register.filter
def lines(items: list[str]) -> str:
    """One a line, for a text area."""
    return "\n".join(items)


@register.filter
def moment(at: datetime | None) -> SafeString:
    """A moment in the reader's zone, to the second; in UTC, as logs have it, for who points at it."""
    return _written(at, "Y-m-d H:i:s T")


@register.filter
def minute(at: datetime | None) -> SafeString:
    """The same to the minute."""
    return _written(at, "Y-m-d H:i T")


@register.filter
def day(at: datetime | None) -> SafeString:
    """The day alone, which is another one in another zone."""
    return _written(at, "Y-m-d")


@register.filter
def clock(at: datetime | None) -> SafeString:
    """The time of day alone, of what is a matter of hours."""
    return _written(at, "H:i:s T")


def _written(at: datetime | None, form: str) -> SafeString:
    if not at:  # none, or what a template knows nothing of
        return SafeString("")
    utc = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), utc, date_format(timezone.localtime(at), form)
    )


@register.filter
def words(name: str) -> str:
    """take_inventory -> take inventory; verbs of version 0.1 in today's words."""
    return verb_text(name)


@register.simple_block_tag(takes_context=True)
def dialog(context: template.Context, content: str, **options: Any) -> SafeString:
    """A dialog that posts: id, heading, action (a URL) and button; its content says what the button will do.

    Options: typed (what to type to confirm), reasoned, danger, hidden and value (one field), choice and choice_text (a box);
    approval (the name of an action that a second person may have to agree to, whose figures are shown) and about (its arguments,
    as a query).
    """
    request = context.get("request")
    if name := options.get("approval"):
        action = named(name)
        where = f"{reverse('approval_impact', args=[name])}?{options.get('about', '')}"
        options |= {"asks": action.asks, "approval": where}
    return render_to_string("portal/parts/dialog.html", options | {"explain": content}, request=request)


@register.simple_tag(takes_context=True)
def history(context: template.Context, of: Model) -> SafeString:
    """A link to what the audit log has about a record; nothing for who may not see it."""
    return history_of(context, str(of._meta.model_name), str(of.pk))


@register.simple_tag(takes_context=True)
def history_of(context: template.Context, object_type: str, object_id: str) -> SafeString:
    """The same of what is no record of the portal's, by what the audit log calls it."""
    if not context["request"].user.has_perm("audit.view_event"):
        return SafeString("")
    about = urlencode({"object_type": object_type, "object_id": object_id})
    where = f"{reverse('admin:audit_event_changelist')}?{about}"
    return format_html('<a class="p-button" href="{}">{}History</a>', where, console.icon("history"))


@register.simple_tag
def polls(every: int, url: str = "", *, select: str = "", target: str = "") -> SafeString:
    """Attributes of a part of a page that asks for itself: every so many seconds, at its own URL or at the page's.

    `select` is the part of the answer that is wanted, `target` what it replaces: the part itself, if nothing is said.
    """
    more = {"hx-select": select, "hx-target": target}
    attributes = {"hx-get": url, "hx-trigger": f"every {every}s, seen", "hx-ext": "morph", "hx-swap": "morph:outerHTML"}
    attributes |= {name: value for name, value in more.items() if value}
    return format_html("data-polls {}", format_html_join(" ", '{}="{}"', attributes.items()))


@register.simple_tag
def counts(part: str, query: str = "") -> SafeString:
    """Attributes of the part of a page with this id that is counted once the page has opened: see `console.counting`."""
    attributes = {
        "hx-get": f"?{query}&{console.COUNTED}" if query else f"?{console.COUNTED}", "hx-trigger": "load",
        "hx-select": f"#{part}", "hx-target": "this", "hx-swap": "outerHTML",
    }  # fmt: skip
    return format_html('id="{}" {}', part, format_html_join(" ", '{}="{}"', attributes.items()))


@register.filter
def whole(number: float) -> int:
    """12.6 -> 13."""
    return round(number)


@register.filter
def signed_percent(fraction: float) -> str:
    """-0.083 -> −8 %."""
    return f"{100 * fraction:+.0f} %".replace("-", "−")


@register.filter
def seconds(step: dict[str, Any]) -> str:
    """How long a step took, of its chunks' times."""
    if not step.get("started_at") or not step.get("finished_at"):
        return ""
    return f"{(step['finished_at'] - step['started_at']).total_seconds():.1f}"
