"""The audit log: search, read, export, verify. There is nothing else to do with it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.db import DataError, IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from migration_portal import console
from migration_portal.audit import anchors, chain, desk
from migration_portal.audit.exports import FORMATS
from migration_portal.audit.links import page_of
from migration_portal.audit.models import Archive, Event, SavedSearch, today, verb_text
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.refusal import Refusal


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The desk stands where a list would."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("export/", wrap(self.export), name="audit_event_export"),
            path("verify/", wrap(self.verify), name="audit_event_verify"),
            path("save/", wrap(self.save), name="audit_event_save"),
            path("forget/", wrap(self.forget), name="audit_event_forget"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        console.need(request, "audit.view_event")
        search, trouble = desk.Search.of(request.GET), ""
        events: list[Event] = []
        facets: dict[str, list[tuple[str, int]]] = {}
        try:
            events, facets = search.page(), search.facets()
        except (Refusal, DataError) as error:
            trouble = str(error)
        shown = [(event, page_of(event.object_type, event.object_id)) for event in events[: desk.PAGE]]
        after = ""
        if len(events) > desk.PAGE:
            last = events[desk.PAGE - 1]
            after = f"{search.query()}&{urlencode({'before': f'{last.at.isoformat()}/{last.pk}'})}"
        links = {
            field: [
                (verb_text(value) if field == "verb" else value, n, search.query(**{field: value}))
                for value, n in counts
            ]
            for field, counts in facets.items()
        }
        said = [(name, value, search.query(**{name: ""})) for name, value in search.said.items()]
        return console.page(
            request, "portal/audit/desk.html", "Audit log", search=search, shown=shown, after=after, facets=links, said=said,
            trouble=trouble, place=settings.AUDIT_ANCHORS, sample=desk.SAMPLE, query=search.query(), formats=list(FORMATS),
            saved=SavedSearch.objects.filter(owner=console.by(request)) | SavedSearch.objects.filter(shared=True),
            may_verify=request.user.has_perm("audit.verify_event"), name=console.by(request), archived=Archive.objects.last(),
        )  # fmt: skip

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One event, with what it changed and what else belongs to it."""
        console.need(request, "audit.view_event")
        event = self.one(request, object_id)
        return console.page(
            request, "portal/audit/event.html", f"Event {event.pk}: {verb_text(event.verb)}", event=event,
            differences=desk.differences(event), place=page_of(event.object_type, event.object_id), verb=today(event.verb),
            rest={name: value for name, value in event.data.items() if name not in ("from", "to", "approver")},
        )  # fmt: skip

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
        """What the search finds; its events are anchored first."""
        console.need(request, "audit.verify_event")
        name = request.GET.get("format", "jsonl")
        if name not in FORMATS:
            return HttpResponse(status=404)
        write, kind, file = FORMATS[name]
        try:
            chosen = desk.Search.of(request.GET).everything()
            chain.record("export", object_type="event", data={"count": chosen.count(), "key": request.GET.urlencode()})
            anchors.write()
        except Refusal as refusal:
            messages.error(request, str(refusal))
            return redirect(reverse("admin:audit_event_changelist"))
        answer = StreamingHttpResponse(write(chosen), content_type=kind)
        answer["Content-Disposition"] = f'attachment; filename="{file}"'
        return answer

    def save(self, request: HttpRequest) -> HttpResponse:
        """Keep a search under a name."""
        query, name = (
            desk.Search.of(QueryDict(request.POST.get("query", ""))).query(),
            request.POST.get("name", "").strip(),
        )

        def do() -> None:
            if not name or not query:
                raise Refusal("There is nothing to keep.", todo="Search for something, and name it.")
            try:
                with transaction.atomic():
                    shared = request.POST.get("shared") == "yes"
                    made = SavedSearch.objects.create(
                        name=name[:80], owner=console.by(request), query=query, shared=shared
                    )
                    chain.record("keep_search", of=made, reason=made.name)
            except IntegrityError:
                raise Refusal("You have a search of that name.", subject=name, todo="Choose another name.") from None

        back = f"{reverse('admin:audit_event_changelist')}?{query}"
        return console.act(request, "audit.view_event", do, back=back, done=f"Kept: {name}.")

    def forget(self, request: HttpRequest) -> HttpResponse:
        """Take away one's own search."""
        chosen = console.whole(request.POST.get("search", ""), 0, 2**31) or 0
        mine = SavedSearch.objects.filter(owner=console.by(request), pk=chosen)

        @transaction.atomic
        def do() -> None:
            for search in mine:
                chain.record("forget_search", of=search, reason=search.name)
                search.delete()

        return console.act(
            request, "audit.view_event", do, back=reverse("admin:audit_event_changelist"), done="Forgotten."
        )
