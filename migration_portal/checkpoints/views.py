"""Checkpoints: a calendar of the last weeks, and one of them, to read or to print."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from migration_portal import console, databases
from migration_portal.checkpoints import take as taking
from migration_portal.checkpoints.criteria import criteria, days_passed
from migration_portal.checkpoints.models import Checkpoint
from migration_portal.refusal import Refusal

_DAYS = 35


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, "checkpoints.view_checkpoint")
    today = timezone.now().date()
    first = today - timedelta(days=_DAYS - 1 - (6 - today.weekday()))
    first -= timedelta(days=first.weekday())
    kept: dict[Any, Checkpoint] = {}
    for each in Checkpoint.objects.filter(at__date__gte=first).order_by("at"):
        kept[each.at.date()] = each
    days = [first + timedelta(days=n) for n in range((today - first).days + 1)]
    context = {
        "weeks": [[(day, kept.get(day)) for day in days[n : n + 7]] for n in range(0, len(days), 7)],
        "latest": Checkpoint.objects.first(), "latest_ones": list(Checkpoint.objects.all()[:10]),
        "may": request.user.has_perm("checkpoints.take_checkpoint"),
    }  # fmt: skip
    return console.page(request, "portal/checkpoints/board.html", "Checkpoints", **context)


def checkpoint(request: HttpRequest, pk: int) -> HttpResponse:
    console.need(request, "checkpoints.view_checkpoint")
    found = get_object_or_404(Checkpoint, pk=pk)
    before = Checkpoint.objects.filter(at__lt=found.at).first()
    groups = [(name, list(results)) for name, results in groupby(found.results, key=lambda result: result["group"])]
    context = {"checkpoint": found, "groups": groups, "before": before, "changes": found.changes_since(before)}
    return console.page(request, "portal/checkpoints/checkpoint.html", str(found), **context)


def success(request: HttpRequest) -> HttpResponse:
    """The success criteria, measured or not measurable yet."""
    console.need(request, "checkpoints.view_checkpoint")
    found, trouble = [], ""
    try:
        found = list(criteria())
    except (Refusal, DatabaseError) as error:
        trouble = databases.words(error)
    passed, taken = days_passed()
    context = {
        "groups": [(kind, list(each)) for kind, each in groupby(found, key=lambda one: one.kind)], "trouble": trouble,
        "measured": sum(one.met is not None for one in found), "met": sum(bool(one.met) for one in found),
        "passed": passed, "taken": taken,
    }  # fmt: skip
    return console.page(request, "portal/checkpoints/criteria.html", "Success criteria", **context)


def take(request: HttpRequest) -> HttpResponse:
    return console.act(
        request, "checkpoints.take_checkpoint", lambda: taking.ask(by=console.by(request)),
        back=reverse("checkpoints"), done="A checkpoint is being taken; it is listed when it is done.",
    )  # fmt: skip
