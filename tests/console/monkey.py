"""Somebody who presses whatever the page in front of them offers, and types whatever comes to mind."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.test import Client

Attributes = dict[str, str]
_TYPED = ("", "because", "0", "1", "-1", "99999999999999999999", "1.5", "x" * 700, "\N{COLLISION SYMBOL}\x00", "'; --", "%", "{}",
          "2026-12-24T10:00", "mfa", "a b\nc", "00000000-0000-0000-0000-000000000000")  # fmt: skip
_LEAVES = re.compile(r"/admin/(logout|jsi18n|password_change|confirm)/")
"""Where the walk would end, or the browser alone goes."""


@dataclass
class Form:
    """`fields`: each with the values that a person could choose from; empty where they type."""

    method: str
    action: str
    fields: list[tuple[str, list[str], Attributes]] = field(default_factory=list)
    buttons: list[Attributes] = field(default_factory=list)
    confirm: str = ""
    """What the form wants typed."""
    name: str = ""


class Page(HTMLParser):
    """The links of a page, and the forms that are seen or can be opened."""

    def __init__(self, place: str, body: str) -> None:
        super().__init__()
        self.place, self.links = place, [place]
        self._forms: list[Form] = []
        self._inside = False
        self._opened: set[str] = set()
        self._said = self._dialog = ""
        self._elsewhere: list[tuple[str, Attributes]] = []
        self.feed(body)
        for tag, values in self._elsewhere:
            for form in self._forms:
                if form.name == values["form"]:
                    _add(form, tag, values)
        for form in self._forms:
            form.buttons = [button for button in form.buttons if not button["in"] or button["in"] in self._opened]
        self.forms = [form for form in self._forms if form.buttons]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {"in": self._dialog} | {name: value or "" for name, value in attrs}
        for name in ("href", "hx-get"):
            self._link(values.get(name, ""))
        if "data-opens" in values and "disabled" not in values:
            self._opened.add(values["data-opens"])
        if tag == "dialog":
            self._dialog = values.get("id", "")
        elif tag == "form":
            action, name = urljoin(self.place, values.get("action", "")), values.get("id", "")
            self._forms.append(Form(values.get("method", "get").lower(), action, name=name))
            self._inside = True
        elif "form" in values:
            self._elsewhere.append((tag, values))
        elif self._inside:
            _add(self._forms[-1], tag, values)

    def handle_data(self, data: str) -> None:
        if self._inside and self._said == "To confirm, type":
            self._forms[-1].confirm = data
        self._said = data.strip() or self._said

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "dialog":
            self._dialog = ""

    def _link(self, to: str) -> None:
        there = urlsplit(urljoin(self.place, to))
        if to and there.path.startswith("/admin/") and not there.netloc and not _LEAVES.match(there.path):
            self.links.append(f"{there.path}?{there.query}")


def _add(form: Form, tag: str, values: Attributes) -> None:
    name = values.get("name", "")
    if tag == "button" and "disabled" not in values and values.get("type", "submit") == "submit":
        form.buttons.append(values)
    elif tag == "option" and form.fields:
        form.fields[-1][1].append(values.get("value", ""))
    elif tag in ("input", "textarea", "select") and name:
        given = [values["value"]] if values.get("type") in ("hidden", "checkbox", "radio") and "value" in values else []
        form.fields.append((name, given, values))


def filled(form: Form, chance: random.Random) -> dict[str, Any]:
    """What somebody may have put into it."""
    made: dict[str, Any] = {}
    pressed = chance.choice(form.buttons) if form.buttons else {}
    for name, given, about in form.fields:
        optional = about.get("type") in ("checkbox", "radio")
        if optional and chance.random() < 0.5:
            continue
        value = chance.choice(given) if given else chance.choice((about.get("value", ""), *_TYPED))
        if name == "typed" and chance.random() < 0.8:
            value = form.confirm
        if name == "reason" and chance.random() < 0.8:
            value = "because"
        made.setdefault(name, []).append(value)
    return made | ({pressed["name"]: pressed.get("value", "")} if pressed.get("name") else {})


@dataclass
class Step:
    """`said`: how the request reads in a report of what went wrong; `allowed`: unless a form was shown to who may not send it."""

    said: str
    answer: Any
    allowed: bool = True


def walk(client: Client, places: Sequence[str], steps: int, chance: random.Random) -> Iterator[Step]:
    """Go from page to page, and now and then to one of these places, as by a bookmark."""
    page = Page("/admin/", client.get("/admin/").content.decode())
    for _ in range(steps):
        if chance.random() < 0.2:
            page = Page("/admin/", "".join(f'<a href="{place}"></a>' for place in places))
        posting = [form for form in page.forms if form.method == "post" and not _LEAVES.match(form.action)]
        if posting and chance.random() < 0.6:
            form = chance.choice(posting)
            data = filled(form, chance)
            answer = client.post(form.action, data, follow=True)
            step = Step(f"POST {form.action} {data}", answer, answer.status_code != 403)
        else:
            link = chance.choice(page.links)
            step = Step(f"GET {link}", client.get(link, follow=True))
        yield step
        page = _next(step.answer)


def _next(answer: Any) -> Page:
    place = answer.redirect_chain[-1][0] if answer.redirect_chain else answer.request["PATH_INFO"]
    html = answer.status_code == 200 and answer["Content-Type"].startswith("text/html") and not answer.streaming
    return Page(place, answer.content.decode()) if html else Page("/admin/", '<a href="/admin/"></a>')
