"""Planning notices, and pausing, resuming and stopping them; completion notices plan themselves."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.core.mail import get_connection
from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from flags.models import TenantHome
from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.locks import Lock, one_after_the_other
from migration_portal.notices import audience as audiences
from migration_portal.notices import password_mail, send, texts
from migration_portal.notices.models import Completed, Notice, Recipient, Text
from migration_portal.refusal import Refusal, require_ahead, require_reason

log = structlog.get_logger(__name__)
State = Notice.State


def plan(
    name: str, template: str, audience: Mapping[str, Any], *, by: str, reason: str = "", mail: bool = True, in_app: bool = False,
    starts_at: datetime | None = None, until: datetime | None = None,
) -> Notice:  # fmt: skip
    """Plan a notice; it is sent when its time has come. Raises Refusal."""
    if not name.strip():
        raise Refusal("A notice has a name, for the list.", subject="notice")
    if not (mail or in_app):
        raise Refusal("It is sent by mail, or shown inside the applications, or both.", subject=name)
    if in_app and "passwords" in audience:
        raise Refusal(
            "Inside the applications nobody is told by their password.", subject=name, todo="Send it by mail alone."
        )
    password_mail.require_fit(texts.of(template), audience, subject=name)
    audiences.tenants_of(audience)
    require_ahead(starts_at, subject=name)
    begins = starts_at or timezone.now()
    if until is not None and until <= begins:
        raise Refusal("It would end before it begins.", subject=name)
    name = name.strip()[:100]
    with transaction.atomic():
        one_after_the_other(connection, Lock.NOTICES)  # a form that is sent twice tells nobody twice
        if Notice.objects.filter(name=name).exists():
            raise Refusal("There is a notice of that name already.", subject=name, todo="Choose another name.")
        made = Notice.objects.create(
            name=name, template=template, audience=dict(audience), mail=mail, in_app=uuid.uuid4() if in_app else None,
            starts_at=begins, until=until, planned_by=by, reason=reason,
        )  # fmt: skip
        chain.record("plan_notice", of=made, by=by, reason=reason, data={"key": [template]})
    transaction.on_commit(lambda: messages.send("notices.tick", queue="operate"))
    return made


def move(notice: Notice, to: str, *, by: str, reason: str = "") -> None:
    """Pause, resume or stop it. Raises Refusal."""
    before = {State.PAUSED: [State.SENDING, State.PLANNED], State.SENDING: [State.PAUSED],
              State.STOPPED: [State.PLANNED, State.SENDING, State.PAUSED]}[State(to)]  # fmt: skip
    if to == State.STOPPED:
        require_reason(reason, to="Stopping", subject=str(notice))
        if notice.in_app:
            before.append(State.SENT)  # it is still shown
    with transaction.atomic():
        ended = {"ended_at": timezone.now()} if to == State.STOPPED else {}
        if not Notice.objects.filter(pk=notice.pk, state__in=before).update(state=to, **ended):
            notice.refresh_from_db()
            raise Refusal(f"It is {notice.state}.", subject=str(notice), todo="Reload the page to see what happened.")
        if to == State.STOPPED:
            send.withdraw(notice)
        chain.record(f"notice_{to}", of=notice, by=by, reason=reason)


def send_test(template: str, to: str, *, language: str = "en") -> None:
    """One message to this address, with sample values. Raises Refusal."""
    if "@" not in to or any(c.isspace() for c in to):
        raise Refusal("That is no address.", subject=to[:60])
    about = Recipient(
        notice_id=0,
        user=uuid.uuid4(),
        email=to,
        name=texts.SAMPLE["name"],
        language=language,
    )
    made = send.message(about, texts.of(template), texts.SAMPLE["tenant"], texts.SAMPLE[texts.PASSWORD_LINK])
    made.subject = f"[test] {made.subject}"
    try:
        get_connection().send_messages([made])
    except (OSError, ValueError) as error:  # smtplib's errors are OSErrors
        raise Refusal(f"It could not be sent: {error}", subject=to, todo="Check EMAIL_URL.") from None


def counts(notice: Notice) -> dict[str, int]:
    """Recipients by state and in `all`, those that may have got it twice in `perhaps_twice`."""
    return counts_of_each([notice])[notice.pk]


def counts_of_each(notices: Sequence[Notice]) -> dict[int, dict[str, int]]:
    """The same by the notices' keys, asked once for all of them."""
    found = {notice.pk: dict.fromkeys([*Recipient.State.values, "all", "perhaps_twice"], 0) for notice in notices}
    rows = Recipient.objects.filter(notice__in=notices).values_list("notice_id", "state", "perhaps_twice")
    for notice, state, twice, count in rows.annotate(n=Count("pk")).order_by():
        found[notice][state] += count
        found[notice]["all"] += count
        found[notice]["perhaps_twice"] += count * twice
    return found


def tell_completed() -> int:
    """Plan the completion notice of tenants that were finalized and have not been told. Returns how many tenants."""
    if not Text.objects.filter(template=texts.COMPLETION).exists():
        return 0
    with transaction.atomic():
        final = TenantHome.objects.select_for_update().filter(final=True)
        known = set(Completed.objects.values_list("tenant", flat=True))
        fresh = [tenant for tenant in final if tenant.pk not in known]
        if not fresh:
            return 0
        more = f" and {len(fresh) - 1} more" if len(fresh) > 1 else ""
        named = f"Completed: {str(fresh[0])[:30]} ({fresh[0].pk[:36]}){more}"
        made = plan(
            named, texts.COMPLETION, {"tenants": [tenant.pk for tenant in fresh]}, by="system", reason="Finalized.", in_app=True,
            until=timezone.now() + timedelta(days=30),
        )  # fmt: skip
        Completed.objects.bulk_create(Completed(tenant=tenant.pk, notice=made) for tenant in fresh)
    return len(fresh)


def tick(seconds: float = send.TURN_SECONDS) -> int:
    """What beat asks for: completion notices, and sending what is due."""
    try:
        tell_completed()
    except Refusal as refusal:  # keeps no other notice from being sent
        log.warning("completion_not_planned", error=str(refusal))
    return send.work(seconds)
