"""The support desk's pages: a search, and one person."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from iam.models import User
from migration_portal import console
from migration_portal.support import person as people
from migration_portal.support.find import find

VIEW, END = "migration_portal.view_person", "migration_portal.end_sessions"


def search(request: HttpRequest) -> HttpResponse:
    """Names and addresses of whoever fits: who looked for what is on the record, too."""
    console.need(request, VIEW)
    who = request.GET.get("q", "").strip()
    found, trouble = find(who)
    if who:
        people.searched(who, len(found), by=console.by(request))
    return console.page(request, "portal/support/search.html", "Support", who=who, found=found, trouble=trouble)


def person(request: HttpRequest, pk: str) -> HttpResponse:
    console.need(request, VIEW)
    made = people.person(pk)
    if not made.there and not made.trouble:
        raise Http404
    if made.user is not None and str(made.user.pk) != pk:  # one person, one address
        return redirect("person", made.user.pk)
    people.looked_at(made.id, by=console.by(request))
    title = (made.user and (made.user.full_name or made.user.username)) or made.id
    may = request.user.has_perm(END)
    return console.page(request, "portal/support/person.html", str(title), person=made, may_end=may)


def end_sessions(request: HttpRequest, pk: str) -> HttpResponse:
    def do() -> str:
        user = get_object_or_404(User, pk=pk)
        return people.end_sessions(user, by=console.by(request), reason=console.reason(request)).words

    return console.act(request, END, do, back=reverse("person", args=[pk]), done="")
