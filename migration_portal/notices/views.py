"""The notices' pages: a list, one with how far it is, planning one, texts with a preview, and mail that was written to files."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from iam import password_links
from migration_portal import console
from migration_portal.engine.errors import describe
from migration_portal.notices import audience as audiences
from migration_portal.notices import plan as planning
from migration_portal.notices import texts
from migration_portal.notices.models import Kind, Notice, Recipient, Text, Unsubscribed
from migration_portal.refusal import Refusal

_VIEW, _SEND, _WRITE = "notices.view_notice", "notices.send_notice", "notices.change_text"
_SHOWN = 50
_FILES = 20
_MOST_BYTES = 200_000
_BETWEEN = re.compile(rb"^-{79}\n(?=[A-Z][A-Za-z-]*: |\Z)", re.MULTILINE)
"""How Django parts mails in a file: a mail may have such a line, too, but no header after it."""


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, _VIEW)
    shown = list(Notice.objects.all()[:_SHOWN])
    counts = planning.counts_of_each(shown)
    rows = [(notice, counts[notice.pk]) for notice in shown]
    return console.page(
        request, "portal/notices/board.html", "Notices", rows=rows, texts=Text.objects.all(), may=_may(request),
        unsubscribed=Unsubscribed.objects.count(), files=_writes_files(),
    )  # fmt: skip


def _may(request: HttpRequest) -> dict[str, bool]:
    return {"send": request.user.has_perm(_SEND), "write": request.user.has_perm(_WRITE)}


def plan(request: HttpRequest) -> HttpResponse:
    """The form; posted to, how many people it would reach, or with `plan` the notice itself."""
    console.need(request, _SEND)
    context: dict[str, Any] = {"form": request.POST or {"mail": "yes", "who": "all"}, "size": None}
    if request.method == "POST":
        try:
            audience = _audience(request)
            if "plan" in request.POST:
                made = planning.plan(
                    request.POST.get("name", ""), request.POST.get("template", ""), audience, by=console.by(request),
                    reason=console.reason(request), mail=request.POST.get("mail") == "yes",
                    in_app=request.POST.get("in_app") == "yes", starts_at=console.moment(request.POST.get("starts_at", "")),
                    until=console.moment(request.POST.get("until", "")),
                )  # fmt: skip
                messages.success(request, f"Planned: it begins {timezone.localtime(made.starts_at):%Y-%m-%d %H:%M %Z}.")
                return redirect("notice", made.pk)
            context["size"] = audiences.size(audience)
        except Refusal as refusal:
            messages.error(request, str(refusal))
        except psycopg.Error as error:
            messages.error(request, str(describe(error)))
    names = sorted(set(Text.objects.values_list("template", flat=True)))
    return console.page(request, "portal/notices/plan.html", "Plan a notice", templates=names, **context)


def _audience(request: HttpRequest) -> dict[str, Any]:
    who, which = request.POST.get("who", ""), request.POST.get("which", "").strip()
    audience: dict[str, Any] = {}
    if who == "tenants":
        audience["tenants"] = which.split()
    elif who == "wave":
        audience["wave"] = which
    elif who in ("iam", "legacy"):
        audience["home"] = who
    elif who != "all":
        raise Refusal("Choose who gets it.", subject="notice")
    if role := request.POST.get("role", "").strip():
        audience["role"] = role
    if request.POST.get("passwords") == "legacy":
        audience["passwords"] = "legacy"
    return audience


def notice(request: HttpRequest, pk: int) -> HttpResponse:
    console.need(request, _VIEW)
    chosen = get_object_or_404(Notice, pk=pk)
    return console.page(request, "portal/notices/notice.html", chosen.name, may=_may(request), **_of(chosen))


def notice_live(request: HttpRequest, pk: int) -> TemplateResponse:
    console.need(request, _VIEW)
    return TemplateResponse(request, "portal/notices/live.html", _of(get_object_or_404(Notice, pk=pk)))


def _of(chosen: Notice) -> dict[str, Any]:
    found = Text.objects.filter(template=chosen.template).first()
    wrong = chosen.recipients.filter(state__in=[Recipient.State.BOUNCED, Recipient.State.FAILED])  # type: ignore[attr-defined]
    return {
        "notice": chosen, "counts": planning.counts(chosen), "wrong": wrong[:_SHOWN],
        "preview": texts.fill([found], found.language, texts.SAMPLE) if found else None,
    }  # fmt: skip


def act(request: HttpRequest, pk: int, to: str) -> HttpResponse:
    chosen = get_object_or_404(Notice, pk=pk)
    return console.act(
        request, _SEND, lambda: planning.move(chosen, to, by=console.by(request), reason=console.reason(request)),
        back=reverse("notice", args=[pk]), done=f"It is {to}.",
    )  # fmt: skip


def text(request: HttpRequest, template: str = "", language: str = "en") -> HttpResponse:
    """One template in one language: written, previewed with sample values, sent to oneself as a test."""
    console.need(request, _VIEW)
    found = Text.objects.filter(template=template, language=language).first()
    names = ("template", "language", "kind", "subject", "text", "html")
    form = {name: getattr(found, name) if found else "" for name in names} | {
        "template": template,
        "language": language,
    }
    context: dict[str, Any] = {"preview": None}
    if request.method == "POST":
        console.need(request, _WRITE)
        form = {name: request.POST.get(name, "") for name in names}
        try:
            made = texts.save(**form, by=console.by(request))
            if "test" in request.POST:
                planning.send_test(made.template, request.POST.get("to", "").strip(), language=made.language)
                messages.success(request, f"Saved, and sent to {request.POST.get('to', '').strip()}.")
            else:
                messages.success(request, "Saved.")
            context["preview"] = texts.fill([made], made.language, texts.SAMPLE)
        except Refusal as refusal:
            messages.error(request, str(refusal))
    elif found is not None:
        context["preview"] = texts.fill([found], found.language, texts.SAMPLE)
    return console.page(
        request, "portal/notices/text.html", f"{template} ({language})" if template else "Write a template", form=form,
        kinds=Kind.choices, known=sorted(texts.KNOWN), may=_may(request), me=request.user.email, **context,  # type: ignore[union-attr]
    )  # fmt: skip


def files(request: HttpRequest) -> HttpResponse:
    """Mail that was written to files because no server is set; newest first."""
    console.need(request, _VIEW)
    found = []
    if _writes_files():
        place = Path(str(getattr(settings, "EMAIL_FILE_PATH", "")))
        newest = (
            sorted(place.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True)[:_FILES]
            if place.is_dir()
            else []
        )
        for path in newest:
            parts = _BETWEEN.split(path.read_bytes()[-_MOST_BYTES:])
            found += [_read(part) for part in reversed(parts) if b"Subject:" in part]
    return console.page(
        request, "portal/notices/files.html", "Mail that was written", mails=found[:_SHOWN], files=_writes_files()
    )


def _writes_files() -> bool:
    return settings.EMAIL_BACKEND.endswith("filebased.EmailBackend")


def _read(part: bytes) -> dict[str, str]:
    made = message_from_bytes(part.strip(), policy=modern)
    body = made.get_body(("plain",))
    return {
        "to": str(made["To"]),
        "subject": str(made["Subject"]),
        "date": str(made["Date"]),
        "text": password_links.hidden(body.get_content()) if body else "",
    }
