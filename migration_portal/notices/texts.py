"""Texts of notices: filled in for one recipient, escaped in HTML, and never with a placeholder left over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from django.db import transaction
from django.utils import timezone

from iam.models import in_language
from migration_portal.audit import chain
from migration_portal.notices.models import Kind, Text
from migration_portal.refusal import Refusal

PASSWORD_LINK = "password_link"  # noqa: S105 - a name: the link is the recipient's alone, mailed and shown nowhere
KNOWN = {"tenant", "name", "date", "legacy_until", "product", PASSWORD_LINK}
"""What may stand in a text, as `$tenant`."""
SAMPLE = {
    "tenant": "Acme",
    "name": "Ann Lee",
    "date": "2026-12-01",
    "legacy_until": "2026-12-31",
    "product": "Sigma IAM",
    PASSWORD_LINK: "https://iam.example.org/oauth/new-password?token=…",
}


_LONGEST_SUBJECT = 200
COMPLETION = "completion"
"""The template of completion notices; without it none are sent."""
_NAME = re.compile(r"[a-z0-9_-]+")
_LINK = re.compile(r"\$\{?password_link\}?")
_ALONE = re.compile(
    r"""(?:^|(?<=[\s>])|(?<=\shref=")|(?<=\shref='))\$\{?password_link\}?(?=$|[\s<"'.,;])""", re.MULTILINE
)


@dataclass(frozen=True)
class Filled:
    subject: str
    text: str
    html: str


def save(template: str, language: str, *, kind: str, subject: str, text: str, html: str, by: str) -> Text:
    """Write a template's text in a language. Raises Refusal for a placeholder that nobody fills in."""
    template, language = template.strip().lower(), language.strip().lower() or "en"
    if not template or not _NAME.fullmatch(template) or len(template) > 60:
        raise Refusal(
            "A template has a short name of the letters a to z, digits and hyphens.",
            subject=template[:60] or "template",
        )
    if not (language.isascii() and language.replace("-", "").isalpha() and len(language) <= 10):
        raise Refusal("A language is written as en or de-at.", subject=language[:20])
    if kind not in Kind.values:
        raise Refusal(f"It is one of: {', '.join(Kind.values)}.", subject=template)
    if not subject.strip() or not text.strip() or "\n" in subject.strip() or "\r" in subject.strip():
        raise Refusal("It needs a subject of one line, and a text.", subject=template)
    if len(subject.strip()) > _LONGEST_SUBJECT:
        raise Refusal(f"Its subject has more than {_LONGEST_SUBJECT} characters.", subject=template)
    for name, part in (("subject", subject), ("text", text), ("HTML", html)):
        _check(part, f"{template}: its {name}", private=name != "subject" and template != COMPLETION)
    with transaction.atomic():
        made, _ = Text.objects.update_or_create(
            template=template, language=language,
            defaults={"kind": kind, "subject": subject.strip(), "text": text, "html": html, "changed_by": by,
                      "changed_at": timezone.now()},
        )  # fmt: skip
        Text.objects.filter(template=template).update(kind=kind)  # in every language alike
        chain.record("change_text", of=made, by=by, data={"key": [template, language]})
    return made


def _check(part: str, subject: str, *, private: bool) -> None:
    """Raises Refusal; where others than the recipient read the part, for what is `private`, too."""
    found = Template(part)
    if not found.is_valid():
        raise Refusal("A $ stands alone.", subject=subject, todo="Write $$ for the sign itself.")
    if unknown := set(found.get_identifiers()) - KNOWN:
        names = ", ".join(f"${name}" for name in sorted(KNOWN))
        raise Refusal(f"Nobody fills in ${min(unknown)}.", subject=subject, todo=f"Use {names}.")
    if PASSWORD_LINK in found.get_identifiers():
        _check_link(part, subject, private=private)


def _check_link(part: str, subject: str, *, private: bool) -> None:
    """Raises Refusal where a link would be seen by others than its owner."""
    if not private:
        raise Refusal(
            "A link to choose a password with stands in no subject, and in no notice of completion.", subject=subject,
            todo="Put $password_link into the text of a template of its own.",
        )  # fmt: skip
    if len(_LINK.findall(part)) != len(_ALONE.findall(part)):
        raise Refusal(
            "A link to choose a password with stands alone: as part of another address it would be told to others.",
            subject=subject, todo='Write it between spaces or, in HTML, as href="$password_link" or between tags.',
        )  # fmt: skip


def links(texts: Sequence[Text]) -> bool:
    """Whether any of them holds a link to choose a new password with."""
    parts = (part for text in texts for part in (text.subject, text.text, text.html))
    return any(PASSWORD_LINK in Template(part).get_identifiers() for part in parts)


def of(template: str) -> list[Text]:
    """The template in all its languages. Raises Refusal when there is none."""
    found = list(Text.objects.filter(template=template))
    if not found:
        raise Refusal("There is no such template.", subject=template[:60], todo="Write one first.")
    return found


def fill(texts: Sequence[Text], language: str, values: Mapping[str, str]) -> Filled:
    """In the recipient's language, or the nearest there is."""
    by_language = {text.language: text.language for text in texts}
    chosen = next(text for text in texts if text.language == in_language(by_language, language))
    plain = {name: values.get(name, "") for name in KNOWN}
    escaped = {name: escape(value) for name, value in plain.items()}
    subject = " ".join(Template(chosen.subject).substitute(plain).split())
    html = Template(chosen.html).substitute(escaped) if chosen.html else ""
    return Filled(subject, Template(chosen.text).substitute(plain), html)
