"""The support desk's pages: a search, and one person."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from iam.models import User
from migration_portal import console
from migration_portal.refusal import Refusal
from migration_portal.support import person as people
from migration_portal.support.find import find

VIEW, END = "migration_portal.view_person", "migration_portal.end_sessions"


def search(request: HttpRequest) -> HttpResponse:
    console.need(request, VIEW)
    who, found, trouble = request.GET.get("q", "").strip(), [], ""
    try:
        found = find(who)
    except (DatabaseError, Refusal) as error:
        trouble = str(error)
    return console.page(request, "portal/support/search.html", "Support", who=who, found=found, trouble=trouble)


def person(request: HttpRequest, pk: str) -> HttpResponse:
    console.need(request, VIEW)
    made = people.person(pk)
    if not made.there and not made.trouble:
        raise Http404
    people.looked_at(made.id, by=console.by(request))
    title = (made.user and (made.user.full_name or made.user.username)) or made.id
    may = {"end": request.user.has_perm(END), "audit": request.user.has_perm("audit.view_event")}
    return console.page(request, "portal/support/person.html", str(title), person=made, may=may)


def end_sessions(request: HttpRequest, pk: str) -> HttpResponse:
    def do() -> str:
        user = get_object_or_404(User, pk=pk)
        count = people.end_sessions(user, by=console.by(request), reason=console.reason(request))
        return f"Signed out everywhere; sessions ended: {count}."

    return console.act(request, END, do, back=reverse("person", args=[pk]), done="")
