"""The audit log: read, search, verify. There is nothing else to do with it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import AllValuesCheckboxFilter

from migration_portal import console
from migration_portal.audit import anchors, chain
from migration_portal.audit.models import Event, spellings, today, verb_text
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.refusal import Refusal


class VerbFilter(SimpleListFilter):
    """By today's verbs, whatever an earlier version called them."""

    title = "verb"
    parameter_name = "verb"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        verbs = {today(verb) for verb in Event.objects.order_by().values_list("verb", flat=True).distinct()}
        return [(verb, verb_text(verb)) for verb in sorted(verbs)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(verb__in=spellings(self.value() or "")) if self.value() else queryset


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "verb_text", "object_type", "object_id", "run", "reason")
    list_filter = (VerbFilter, ("actor", AllValuesCheckboxFilter))
    list_filter_submit = True
    search_fields = ("actor", "verb", "object_id", "reason", "request_id")
    date_hierarchy = "at"
    list_before_template = "portal/audit/list_before.html"
    fields = (
        "at", "actor", "verb", "object_type", "object_id", "reason", "run", "request_id", "data", "previous", "digest",
    )  # fmt: skip

    @admin.display(description="Verb", ordering="verb")
    def verb_text(self, event: Event) -> str:
        return verb_text(event.verb)

    def get_urls(self) -> list[URLPattern]:
        return [
            path("export/", self.admin_site.admin_view(self.export), name="audit_event_export"),
            path("verify/", self.admin_site.admin_view(self.verify), name="audit_event_verify"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Audit log", "may_verify": request.user.has_perm("audit.verify_event")}
        context |= {"query": request.GET.urlencode(), "place": settings.AUDIT_ANCHORS}
        return super().changelist_view(request, context | (extra_context or {}))

    def verify(self, request: HttpRequest) -> HttpResponse:
        def ask() -> str:
            verdict = anchors.verify()
            chain.record("verify_chain", data={"count": verdict.events})
            if not verdict.intact:
                raise Refusal(
                    str(verdict), subject="audit log",
                    todo="Compare with a backup, and find out who has owner rights on the portal's database.",
                )  # fmt: skip
            return str(verdict)

        back = reverse("admin:audit_event_changelist")
        return console.act(request, "audit.verify_event", ask, back=back, done="")

    def export(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """The filtered list as JSON Lines, with the chain's signed head at its end; the head is anchored first."""
        console.need(request, "audit.verify_event")
        chosen = self.get_changelist_instance(request).get_queryset(request)
        back = reverse("admin:audit_event_changelist")
        chain.record("export", object_type="event", data={"count": chosen.count(), "key": request.GET.urlencode()})
        try:
            anchors.write()
        except Refusal as refusal:
            messages.error(request, str(refusal))
            return redirect(back)
        answer = StreamingHttpResponse(anchors.lines(chosen), content_type="application/jsonl")
        answer["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
        return answer
