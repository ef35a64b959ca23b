"""Sending notices: the ledger is filled first, then each recipient is claimed, sent and marked, by any number of workers."""

from __future__ import annotations

import random
import smtplib
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from limits import RateLimitItemPerSecond
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from iam import password_links
from iam.models import InAppNotice, Tenant
from migration_portal import databases
from migration_portal.engine.queries import named
from migration_portal.notices import audience, password_mail, texts
from migration_portal.notices.links import unsubscribe_url
from migration_portal.notices.models import Kind, Notice, Recipient, Text, Unsubscribed
from migration_portal.refusal import Refusal

log = structlog.get_logger(__name__)
_QUERIES = named(Path(__file__).parent / "notices.sql")
_LEASE_SECONDS = 5.0
"""Covers the moment between the claim and the row's lock."""
_MOST_ATTEMPTS = 6
_CANDIDATES = 500
_FIRST_WAIT = timedelta(seconds=30)
TURN_SECONDS = 20.0


def work(seconds: float = TURN_SECONDS) -> int:
    """Send what is due, for a while. Returns how many were sent. Any number of workers may do so beside each other."""
    until, count = time.monotonic() + seconds, 0
    due = Notice.objects.filter(starts_at__lte=timezone.now(), state__in=[Notice.State.PLANNED, Notice.State.SENDING])
    for notice in due.order_by("id"):
        try:
            found = texts.of(notice.template)
            password_mail.require_fit(found, notice.audience, subject=str(notice))
            if notice.expanded_at is None:
                expand(notice)
        except audience.Nobody as nobody:
            _end(notice, Notice.State.STOPPED, error=str(nobody))
            continue
        except (
            DatabaseError,
            Refusal,
            psycopg.Error,
        ) as error:  # tried again; what keeps one from being sent keeps no other
            Notice.objects.filter(pk=notice.pk).update(error=databases.words(error))
            continue
        if notice.mail:
            count += _send(notice, found, until)
        conclude(notice)
        if time.monotonic() > until:
            break
    return count


def expand(notice: Notice) -> None:
    """Write every recipient into the ledger, and show it inside the applications; whoever did some of it already."""
    if notice.in_app:
        _publish(notice)
    if notice.mail:
        unwanted = set(Unsubscribed.objects.values_list("email", flat=True))
        kind = texts.of(notice.template)[0].kind
        for batch in audience.people(notice.audience):
            Recipient.objects.bulk_create(
                [_recipient(notice, row, kind, unwanted) for row in batch], ignore_conflicts=True
            )
    now = timezone.now()
    Notice.objects.filter(pk=notice.pk).update(expanded_at=now, error="")
    Notice.objects.filter(pk=notice.pk, state=Notice.State.PLANNED).update(state=Notice.State.SENDING)
    notice.refresh_from_db()
    if notice.state == Notice.State.STOPPED:  # while it was being shown
        withdraw(notice)


def _recipient(notice: Notice, row: Mapping[str, Any], kind: str, unwanted: set[str]) -> Recipient:
    skipped = kind == Kind.ANNOUNCEMENT and row["email"].lower() in unwanted
    return Recipient(
        notice=notice, user=row["user"], email=row["email"], name=row["name"], tenant=row["tenant"], language=row["language"][:10],
        state=Recipient.State.SKIPPED if skipped else Recipient.State.WAITING, error="unsubscribed" if skipped else "",
    )  # fmt: skip


def _publish(notice: Notice) -> None:
    assert notice.in_app is not None
    found = texts.of(notice.template)
    InAppNotice.objects.update_or_create(
        pk=notice.in_app,
        defaults={
            "kind": found[0].kind, "subject": {text.language: text.subject for text in found},
            "body": {text.language: text.text for text in found}, "words": general(), "starts_at": notice.starts_at,
            "ends_at": notice.until, "tenants": audience.tenants_of(notice.audience), "role": notice.audience.get("role") or None,
        },
    )  # fmt: skip


def withdraw(notice: Notice) -> None:
    """Show it inside the applications no longer."""
    if notice.in_app:
        InAppNotice.objects.filter(pk=notice.in_app).update(ends_at=timezone.now())


def general() -> dict[str, str]:
    """What is the same for every recipient."""
    return {"date": f"{timezone.localdate():%Y-%m-%d}", "legacy_until": settings.LEGACY_UNTIL, "product": "Sigma IAM"}


def _send(notice: Notice, found: list[Text], until: float) -> int:
    names, count = dict[str, str](), 0
    with _mail() as mail:
        while candidates := _candidates(notice):
            claimed = 0
            for pk in candidates:
                if time.monotonic() >= until or not _wanted(notice):
                    return count
                _keep_to_the_rate()
                if _claim(pk):
                    claimed += 1
                    count += _deliver(pk, mail, found, names)
            if not claimed:
                break  # others are at all of them
    return count


def _wanted(notice: Notice) -> bool:
    """Paused and stopped within the message that is under way."""
    return Notice.objects.filter(pk=notice.pk, state=Notice.State.SENDING).exists()


def _candidates(notice: Notice) -> list[int]:
    """Looked for by the hundred: right after the ledger was filled, PostgreSQL has no statistics to find one at once. In an order
    of this worker's own, so that several seldom try the same.
    """
    with connection.cursor() as cursor:
        about = {"notice": notice.pk, "lease": _LEASE_SECONDS, "most": _CANDIDATES}
        cursor.execute(_QUERIES["candidates"].as_string(None), about)
        found = [row[0] for row in cursor.fetchall()]
    random.shuffle(found)
    return found


def _claim(pk: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_QUERIES["claim"].as_string(None), {"id": pk, "lease": _LEASE_SECONDS})
        return bool(cursor.rowcount)


def _deliver(pk: int, mail: Any, found: list[Text], names: dict[str, str]) -> int:
    """Send one, and mark what came of it. Returns 1 if it was sent. `names` are those of tenants that were asked for already."""
    about = Recipient.objects.get(pk=pk)
    why, link = ("", Recipient.State.WAITING), ""
    try:
        link = password_mail.link_of(about) if texts.links(found) else ""
        if about.tenant not in names:
            names[about.tenant] = _name_of(about.tenant)
    except password_mail.Unwanted as unwanted:
        why = str(unwanted), Recipient.State.SKIPPED
    except DatabaseError as error:  # the IAM is away: nothing was sent, and nothing is known to be
        why = databases.words(error), Recipient.State.WAITING
        Notice.objects.filter(pk=about.notice_id).update(error=why[0])
    with transaction.atomic():
        to = Recipient.objects.select_for_update().get(pk=pk)
        if to.state != Recipient.State.SENDING:
            return 0
        if found[0].kind == Kind.ANNOUNCEMENT and Unsubscribed.objects.filter(email=to.email.lower()).exists():
            why = "unsubscribed", Recipient.State.SKIPPED
        if why[0]:
            _not_sent(to, *why)
            return 0
        if failed := _sent(mail, to, found, names[to.tenant], link):
            mail.close()  # what it was in the middle of
            _not_sent(to, *failed)
            return 0
        Recipient.objects.filter(pk=pk).update(state=Recipient.State.SENT, sent_at=timezone.now(), error="")
    return 1


def _sent(mail: Any, to: Recipient, found: list[Text], tenant: str, link: str) -> tuple[str, str] | None:
    """None when the server took it; else why not, and the state that follows from that: SENDING when nobody can tell."""
    try:
        made = message(to, found, tenant, link)
        made.message()
    except Exception as error:  # whatever a library makes of this address is this recipient's alone
        return f"No mail can be written to it: {error}"[:500], Recipient.State.BOUNCED
    try:
        mail.open()
    except Exception as error:  # a server that is away, or none: no recipient's fault
        return f"{type(error).__name__}: {error}"[:500], Recipient.State.WAITING
    try:
        mail.send_messages([made])
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        return f"{code} {_words(said)}"[:500], Recipient.State.BOUNCED if code >= 500 else Recipient.State.WAITING
    except smtplib.SMTPResponseException as error:
        refused = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500
        state = Recipient.State.BOUNCED if refused else Recipient.State.WAITING
        return f"{error.smtp_code} {_words(error.smtp_error)}"[:500], state
    except (smtplib.SMTPException, OSError) as error:
        why = f"{type(error).__name__}: {error}"[:500]
        return why, Recipient.State.SENDING  # it may have arrived, and its answer not
    except Exception as error:  # of the address again
        return f"No mail can be written to it: {error}"[:500], Recipient.State.BOUNCED
    return None


def _words(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


def _not_sent(to: Recipient, why: str, state: str) -> None:
    if state == Recipient.State.SENDING:
        to.perhaps_twice, again = True, not to.perhaps_twice  # once more, and no oftener
        state = Recipient.State.WAITING if again else Recipient.State.FAILED
    elif state == Recipient.State.WAITING and to.attempts >= _MOST_ATTEMPTS:
        state = Recipient.State.FAILED
    wait = _FIRST_WAIT * 4 ** (to.attempts - 1)
    Recipient.objects.filter(pk=to.pk).update(
        state=state, error=password_links.hidden(why), next_at=timezone.now() + wait, perhaps_twice=to.perhaps_twice
    )
    log.info("notice_not_sent", recipient=to.pk, state=state, attempts=to.attempts)


def message(to: Recipient, found: list[Text], tenant: str, password_link: str = "") -> EmailMultiAlternatives:
    """The mail to one recipient. Its Message-ID is the same each time it is sent, so that servers can tell, and no link's token."""
    own = {"name": to.name, "tenant": tenant, texts.PASSWORD_LINK: password_link}
    filled = texts.fill(found, to.language, general() | own)
    link = unsubscribe_url(str(to.token))
    optional = found[0].kind == Kind.ANNOUNCEMENT and link
    headers = {
        "Message-ID": f"<{uuid.uuid5(to.token, 'message')}@notices.sigma-transit>",
        "Auto-Submitted": "auto-generated",
    }
    if optional:
        headers |= {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    made = EmailMultiAlternatives(
        filled.subject, filled.text + (f"\n\nUnsubscribe: {link}\n" if optional else ""), to=[to.email], headers=headers
    )
    if filled.html:
        made.attach_alternative(
            filled.html + (f'<p><a href="{link}">Unsubscribe</a></p>' if optional else ""), "text/html"
        )
    return made


def conclude(notice: Notice) -> None:
    """It is sent when nobody waits any more."""
    left = notice.recipients.filter(state__in=[Recipient.State.WAITING, Recipient.State.SENDING])  # type: ignore[attr-defined]
    if not left.exists():
        _end(notice, Notice.State.SENT)


def _end(notice: Notice, state: Notice.State, *, error: str = "") -> None:
    open_ones = Notice.objects.filter(pk=notice.pk, state__in=[Notice.State.PLANNED, Notice.State.SENDING])
    open_ones.update(state=state, ended_at=timezone.now(), error=error)


def _name_of(tenant: str) -> str:
    return Tenant.objects.filter(pk=tenant).values_list("name", flat=True).first() or tenant


@contextmanager
def _mail() -> Iterator[Any]:
    """One connection for many messages; it opens with the first, and again after whatever broke it."""
    if place := getattr(settings, "EMAIL_FILE_PATH", ""):
        Path(place).mkdir(parents=True, exist_ok=True)
        Path(place).chmod(0o700)  # mails hold links that are for their readers alone
    mail = get_connection()
    try:
        yield mail
    finally:
        with suppress(smtplib.SMTPException, OSError):
            mail.close()


def _keep_to_the_rate() -> None:
    limit = RateLimitItemPerSecond(max(int(settings.NOTICES_PER_SECOND), 1))
    while not _limiter(settings.REDIS_URL).hit(limit, "notices"):
        time.sleep(0.02)


@cache
def _limiter(url: str) -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(storage_from_string(url, socket_timeout=2))
