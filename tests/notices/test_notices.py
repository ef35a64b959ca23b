"""Notices: who gets one, in which words, once, at which pace; what bounces; what is shown inside applications."""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from flags import maintenance
from flags.models import TenantHome
from iam.models import InAppNotice, User
from migration_portal.audit.models import Event
from migration_portal.monitoring.alerts import signature
from migration_portal.notices import audience, plan, send, texts
from migration_portal.notices.models import Notice, Recipient, Unsubscribed
from migration_portal.refusal import Refusal
from migration_portal.rollback.doors import close_doors
from tests.iam.conftest import Api
from tests.iam.conftest import api as api  # the fixture
from tests.legacy_compat.conftest import make_tenant, make_user
from tests.notices.conftest import ENGLISH, LINKED, people, sent
from tests.notices.smtp import Kept

# Words


@pytest.mark.parametrize(
    ("part", "why"),
    [({"text": "Dear $nobody"}, "Nobody fills in \\$nobody"), ({"html": "$ 5"}, "stands alone"), ({"subject": "a\nb"}, "one line"),
     ({"subject": " "}, "needs a subject"), ({"kind": "odd"}, "one of")],
)  # fmt: skip
def test_a_text_that_cannot_be_filled_in_is_refused(mail: Kept, part: dict[str, str], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        texts.save("other", "en", by="otto", **(ENGLISH | part))


def test_each_recipient_reads_their_own_language_and_name(mail: Kept) -> None:
    texts.save("moving", "de", by="otto", **(ENGLISH | {"subject": "$tenant zieht um", "text": "Hallo $name"}))
    people(1, preferred_language="de-AT")
    people(1, preferred_language="fr")
    sent()
    subjects = sorted(made["Subject"] for _, made in mail.messages)
    assert subjects[1] == "Acme zieht um" and subjects[0].startswith("Acme moves on 20")
    html = mail.messages[0][1].get_body(("html",)).get_content()
    assert "Person &lt;0&gt;" in html and "Person <0>" in mail.messages[0][1].get_body(("plain",)).get_content()


def test_only_those_whose_password_legacy_alone_can_check_are_told(mail: Kept) -> None:
    people(1)
    [left] = people(1, hashed_password="{SHA}what-is-this")
    sent({"passwords": "legacy"})
    assert mail.recipients == [left.email] and audience.size({"passwords": "legacy"}) == 1
    with pytest.raises(Refusal, match="nobody is told by their password"):
        sent({"passwords": "legacy"}, in_app=True)


def test_a_name_cannot_add_headers(mail: Kept) -> None:
    tenant = make_tenant(name="Acme\r\nBcc: all@example.org")
    make_user(tenant)
    sent()
    assert mail.messages[0][1]["Bcc"] is None and len(mail.messages) == 1


# Who


def test_active_users_of_active_tenants_get_it_and_nobody_else(mail: Kept) -> None:
    here = people(2)
    people(1, is_active=False)
    people(1, email="")
    make_user(make_tenant(is_active=False))
    notice = sent()
    assert sorted(mail.recipients) == sorted(str(user.email) for user in here)
    assert notice.state == "sent" and plan.counts(notice)["sent"] == 2


def test_audiences_are_tenants_waves_homes_and_roles(mail: Kept) -> None:
    first, second = people(1)[0], people(1)[0]
    TenantHome.objects.filter(pk=str(first.tenant_id)).update(wave="week 1")
    TenantHome.objects.filter(pk=str(second.tenant_id)).update(home="legacy")
    for who, wanted in (
        ({"tenants": [str(second.tenant_id)]}, 1), ({"wave": "week 1"}, 1), ({"home": "legacy"}, 1), ({}, 2),
        ({"role": "nobody has it"}, 0),
    ):  # fmt: skip
        assert audience.size(who) == wanted, who
    for who in ({"tenants": ["nobody"]}, {"wave": "none"}):
        with pytest.raises(Refusal):
            plan.plan("x", "moving", who, by="otto")


def test_who_unsubscribed_gets_no_announcement_but_what_is_about_their_account(mail: Kept) -> None:
    user = people(1)[0]
    sent()
    link = str(mail.messages[0][1]["List-Unsubscribe"]).strip(" <>")
    assert mail.messages[0][1]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    client = Client(enforce_csrf_checks=True)
    path = link.removeprefix("https://portal.example.org")
    assert b"No more announcements?" in client.get(path).content and not Unsubscribed.objects.exists()
    assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert Unsubscribed.objects.get().email == str(user.email).lower()
    assert plan.counts(sent())["skipped"] == 1 and len(mail.messages) == 1
    texts.save("account", "en", by="otto", **(ENGLISH | {"kind": "completion"}))
    sent(template="account")
    assert len(mail.messages) == 2 and mail.messages[1][1]["List-Unsubscribe"] is None
    assert b"not known" in client.get(f"/notices/unsubscribe/{uuid.uuid4()}/").content


# Once


def test_each_gets_it_once_however_many_workers_send(mail: Kept) -> None:
    here = people(60)
    plan.plan("Moving", "moving", {}, by="otto")

    def worker() -> None:
        send.work()
        connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(mail.recipients) == sorted(str(user.email) for user in here)


def test_one_whose_worker_died_is_sent_once_more_and_marked(mail: Kept) -> None:
    people(2)
    notice = plan.plan("Moving", "moving", {}, by="otto")
    send.expand(notice)
    assert send._claim(send._candidates(notice)[0])  # and then the worker dies
    send.work()
    assert len(mail.messages) == 1
    Recipient.objects.filter(state="sending").update(claimed_at=timezone.now() - timedelta(seconds=9))
    send.work()
    assert len(mail.messages) == 2 and plan.counts(notice)["perhaps_twice"] == 1
    assert len({made["Message-ID"] for _, made in mail.messages}) == 2


def test_filling_the_ledger_again_adds_nobody_twice(mail: Kept) -> None:
    people(3)
    notice = plan.plan("Moving", "moving", {}, by="otto")
    send.expand(notice)
    Notice.objects.filter(pk=notice.pk).update(expanded_at=None)
    send.work()
    assert len(mail.messages) == 3


# What goes wrong


def test_a_refused_address_bounces_and_a_busy_server_is_tried_again(mail: Kept) -> None:
    gone, busy, well = people(3)
    mail.refuse = {str(gone.email): "550 5.1.1 no such user", str(busy.email): "451 4.7.1 try later"}
    notice = sent()
    states = {each.email: each for each in notice.recipients.all()}  # type: ignore[attr-defined]
    assert states[gone.email].state == "bounced" and "550" in states[gone.email].error
    assert states[busy.email].state == "waiting" and states[busy.email].next_at > timezone.now()
    assert notice.state == "sending" and mail.recipients == [well.email]
    mail.refuse = {}
    Recipient.objects.update(next_at=timezone.now())
    send.work()
    notice.refresh_from_db()
    assert notice.state == "sent" and sorted(mail.recipients) == sorted([str(busy.email), str(well.email)])


def test_a_server_that_is_away_fails_nobody_at_once_and_gives_up_in_the_end(mail: Kept, settings: Any) -> None:
    people(1)
    settings.EMAIL_PORT = 1
    notice = sent()
    for _ in range(6):
        assert Recipient.objects.get().state in ("waiting", "failed")
        Recipient.objects.update(next_at=timezone.now())
        send.work()
    notice.refresh_from_db()
    assert (Recipient.objects.get().state, notice.state) == ("failed", "sent")


def test_a_provider_tells_of_bounces_with_a_signature(mail: Kept, settings: Any) -> None:
    user = people(1)[0]
    sent()
    settings.NOTICES_SECRET = "shared"
    body, now = json.dumps({"email": user.email, "reason": "mailbox full"}).encode(), str(int(time.time()))

    def told(secret: str, moment: str = now, body: bytes = body) -> int:
        headers = {"X-Sigma-Timestamp": moment, "X-Sigma-Signature": f"sha256={signature(secret, moment, body)}"}
        return Client().post("/hooks/bounces", body, "application/json", headers=headers).status_code

    assert [told("wrong"), told("shared", "1"), told("shared", now, b"["), told("shared", now, b"[]")] == [
        401,
        401,
        400,
        400,
    ]
    assert told("shared") == 200 and Recipient.objects.get().error == "mailbox full"
    settings.NOTICES_SECRET = ""
    assert told("shared") == 404


# Pace, pause, time


def test_all_workers_together_keep_to_the_rate(mail: Kept, settings: Any) -> None:
    settings.NOTICES_PER_SECOND = 5
    people(12)
    began = time.monotonic()
    sent()
    assert len(mail.messages) == 12 and time.monotonic() - began > 1.0


def test_a_paused_notice_waits_and_a_stopped_one_never_goes_on(mail: Kept) -> None:
    people(2)
    notice = plan.plan("Moving", "moving", {}, by="otto")
    plan.move(notice, "paused", by="otto")
    assert send.work() == 0
    plan.move(notice, "sending", by="otto")
    assert send.work() == 2
    later = plan.plan("Later", "moving", {}, by="otto", starts_at=timezone.now() + timedelta(hours=1))
    assert send.work() == 0
    with pytest.raises(Refusal, match="needs a reason"):
        plan.move(later, "stopped", by="otto")
    plan.move(later, "stopped", by="otto", reason="wrong text")
    Notice.objects.filter(pk=later.pk).update(starts_at=timezone.now())
    assert send.work() == 0 and Event.objects.filter(verb="notice_stopped", reason="wrong text").exists()


# Completion


def test_the_completion_notice_goes_out_by_itself_once_a_tenant(mail: Kept) -> None:
    first, second = people(1)[0], people(1)[0]
    TenantHome.objects.filter(pk=str(first.tenant_id)).update(final=True)
    assert plan.tick() == 0  # nobody has written its text
    texts.save("completion", "en", by="otto", **(ENGLISH | {"kind": "completion"}))
    plan.tick()
    plan.tick()
    assert mail.recipients == [first.email]
    TenantHome.objects.filter(pk=str(second.tenant_id)).update(final=True)
    plan.tick()
    assert mail.recipients == [first.email, second.email]


# Inside applications


def test_a_notice_is_shown_in_the_application_and_read(api: Api, mail: Kept) -> None:
    plan.plan("Moving", "moving", {"tenants": [str(api.tenant.pk)]}, by="otto", mail=False, in_app=True)
    plan.plan("Others", "moving", {"tenants": [str(make_tenant().pk)]}, by="otto", mail=False, in_app=True)
    plan.plan("Over", "moving", {}, by="otto", mail=False, in_app=True, until=timezone.now() + timedelta(days=1))
    send.work()
    InAppNotice.objects.filter(ends_at__isnull=False).update(ends_at=timezone.now())
    shown = api.call("GET", "/notices").json()
    assert [item["read"] for item in shown["items"]] == [False] and shown["maintenance"] is None
    place = f"/notices/{shown['items'][0]['id']}/read"
    assert [api.call("POST", place).status_code, api.call("POST", place).status_code] == [204, 204]
    assert api.call("GET", "/notices").json()["items"][0]["read"] is True
    assert api.call("POST", f"/notices/{uuid.uuid4()}/read").status_code == 404
    close_doors(by="otto", reason="upgrade")
    maintenance._known = (0.0, None)
    assert "maintained" in api.call("GET", "/notices").json()["maintenance"]


def test_inside_an_application_who_has_no_full_name_is_called_as_they_sign_in(api: Api, mail: Kept) -> None:
    plan.plan("Moving", "moving", {}, by="otto", mail=False, in_app=True)
    send.work()

    def bodies() -> str:
        return "".join(item["body"] for item in api.call("GET", "/notices").json()["items"])

    User.objects.filter(pk=api.admin.pk).update(full_name="Ann Lee", username="ann")
    assert "Ann Lee" in bodies()
    User.objects.filter(pk=api.admin.pk).update(full_name=None)
    assert "Dear ann," in bodies()


# Links to choose a password with


def test_each_recipient_is_mailed_a_link_of_their_own(mail: Kept, settings: Any) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    ann, bob = people(2, hashed_password="{SHA}what-is-this")
    people(1)
    sent({"passwords": "legacy"}, "reset")
    links = {to: _link(made) for to, made in mail.messages}
    assert links.keys() == {ann.email, bob.email} and all(
        link.startswith(settings.PUBLIC_URL) for link in links.values()
    )
    TenantHome.objects.update_or_create(tenant=str(ann.tenant_id), defaults={"home": "iam"})
    form = {"new_password": "a long and new passphrase", "again": "a long and new passphrase"}
    token = parse_qs(urlsplit(links[ann.email]).query)["token"][0]
    assert Client().post("/oauth/new-password", form | {"token": token}).status_code == 200
    ann.refresh_from_db()
    bob.refresh_from_db()
    assert ann.has_password("a long and new passphrase") and not bob.has_password("a long and new passphrase")


def _link(made: Any) -> str:
    return str(made.get_body(("plain",)).get_content()).split("Dear ")[1].split(": ")[1].split()[0]


def test_a_link_is_shown_nowhere_but_in_its_owners_mail(mail: Kept, settings: Any) -> None:
    with pytest.raises(Refusal, match="stands in no subject"):
        texts.save("reset", "en", by="otto", **(ENGLISH | {"subject": "$password_link"}))
    texts.save("reset", "en", by="otto", **LINKED)
    people(1)
    with pytest.raises(Refusal, match="goes to nobody who has a password"):
        sent({}, "reset", in_app=True)
    with pytest.raises(Refusal, match="nobody is told by their password"):
        sent({"passwords": "legacy"}, "reset", in_app=True)
    plan.send_test("reset", "otto@example.org")
    assert _link(mail.messages[0][1]) == "https://iam.example.org/oauth/new-password?token=…"
    settings.PUBLIC_URL = ""
    with pytest.raises(Refusal, match="Set PUBLIC_URL"):
        sent({"passwords": "legacy"}, "reset")


def test_nobody_is_mailed_a_link_that_leads_nowhere(mail: Kept, settings: Any) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    [user] = people(1, hashed_password="{SHA}what-is-this")
    notice = plan.plan("Reset", "reset", {"passwords": "legacy"}, by="otto")
    public, settings.PUBLIC_URL = settings.PUBLIC_URL, ""
    send.work()
    notice.refresh_from_db()
    assert mail.messages == [] and "Set PUBLIC_URL" in notice.error
    settings.PUBLIC_URL = public
    send.work()
    assert mail.recipients == [user.email]


def test_no_completion_notice_holds_a_link(mail: Kept) -> None:
    with pytest.raises(Refusal, match="in no notice of completion"):
        texts.save(texts.COMPLETION, "en", by="otto", **LINKED)


@pytest.mark.parametrize(
    ("part", "good"),
    [("Go to $password_link.", True), ("$password_link", True), ("?u=$password_link", False), ("//e.org/$password_link", False)],
)  # fmt: skip
def test_a_link_stands_alone_in_a_text(mail: Kept, part: str, good: bool) -> None:
    try:
        texts.save("reset", "en", by="otto", **(LINKED | {"text": part}))
        assert good
    except Refusal as refusal:
        assert not good and "stands alone" in str(refusal)
