"""What strangers found in notices: one recipient or notice that stops all others, and people who are told what is not theirs."""

from __future__ import annotations

import smtplib
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.test import Client
from django.utils import timezone

from flags.models import TenantHome
from iam.models import Role, UserRole
from migration_portal import console as screens
from migration_portal.notices import audience, plan, send, texts
from migration_portal.notices.models import Notice, Recipient, Unsubscribed
from migration_portal.refusal import Refusal
from tests.iam.conftest import Api
from tests.iam.conftest import api as api
from tests.legacy_compat.conftest import make_tenant, make_user
from tests.notices.conftest import ENGLISH, people, sent
from tests.notices.conftest import console as console
from tests.notices.conftest import mail as mail
from tests.notices.smtp import Kept

ODD = [
    "a@[", "a@b@c", '"@x', "<a@b.c>", "g:a@b.c;", ",@b", "()@x", "a@b\r\nBcc: c@d", "a@x.y, b@y.z", "a@(", "@@@", "a@[1.2.3.4",
    "x@xn--", "\\@\\", "=?utf-8?q?a?=@b.c", "a:;@b", '""@b.c', "x@" + "é" * 100,
]  # fmt: skip


def in_app(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.call("GET", "/notices").json()["items"]
    return found


def test_an_odd_address_keeps_nobody_else_from_getting_it(mail: Kept) -> None:
    tenant = make_tenant(name="Acme")
    for address in ODD:
        make_user(tenant, email=address)
    make_user(tenant, email="good@example.org")
    notice = sent()
    assert "good@example.org" in mail.recipients
    assert not notice.recipients.filter(state__in=["sending", "waiting"]).exists()  # type: ignore[attr-defined]
    assert "c@d" not in mail.recipients


def test_a_notice_for_nobody_ends_and_the_next_goes_out(mail: Kept) -> None:
    user = people(1)[0]
    TenantHome.objects.update(home="legacy")
    early = plan.plan("Early", "moving", {"home": "legacy"}, by="otto")
    TenantHome.objects.update(home="iam")
    plan.plan("Urgent", "moving", {}, by="otto")
    send.work()
    early.refresh_from_db()
    assert (early.state, early.error) == ("stopped", "notice: Nobody is in this audience. Choose other tenants.")
    assert mail.recipients == [user.email]


@pytest.mark.parametrize(
    "failing", [Refusal("The IAM is away."), psycopg.OperationalError("away"), OperationalError("away")]
)
def test_what_keeps_one_notice_from_being_sent_is_said_and_keeps_no_other(
    mail: Kept, monkeypatch: pytest.MonkeyPatch, failing: Exception
) -> None:
    people(1)
    first = plan.plan("First", "moving", {"role": "nobody"}, by="otto")
    plan.plan("Second", "moving", {}, by="otto")
    before = audience.people

    def away(who: Any) -> Any:
        if who:
            raise failing
        return before(who)

    monkeypatch.setattr(audience, "people", away)
    send.work()
    first.refresh_from_db()
    assert (first.state, first.error, len(mail.messages)) == ("planned", first.error, 1)
    assert "away" in first.error


def test_in_app_notices_are_for_the_role(mail: Kept, api: Api) -> None:
    plan.plan("Admins", "moving", {"role": "boss"}, by="otto", mail=False, in_app=True)
    send.work()
    assert in_app(api) == []
    role = Role.objects.create(name="boss")
    given = UserRole.objects.create(user=api.admin, role=role, expires_at=timezone.now() - timedelta(seconds=1))
    assert in_app(api) == [] and audience.size({"role": "boss"}) == 0
    UserRole.objects.filter(pk=given.pk).update(expires_at=None)
    assert len(in_app(api)) == 1 and audience.size({"role": "boss"}) == 1


def test_in_app_notices_name_their_reader(mail: Kept, api: Api) -> None:
    texts.save("moving", "en", by="otto", **(ENGLISH | {"text": "Dear $name, $tenant moves for $$5 on $date."}))
    plan.plan("x", "moving", {}, by="otto", mail=False, in_app=True)
    send.work()
    shown = in_app(api)[0]
    assert (
        shown["body"]
        == f"Dear {api.admin.full_name}, {api.tenant.name} moves for $5 on {timezone.localdate():%Y-%m-%d}."
    )


def test_a_stopped_notice_is_shown_no_longer_and_a_sent_one_can_be_withdrawn(mail: Kept, api: Api) -> None:
    notice = sent(in_app=True)
    assert notice.state == "sent" and len(in_app(api)) == 1
    plan.move(notice, "stopped", by="otto", reason="a slip")
    assert in_app(api) == []


def test_who_unsubscribes_meanwhile_gets_no_announcement(mail: Kept) -> None:
    user = people(1)[0]
    notice = plan.plan("x", "moving", {}, by="otto")
    send.expand(notice)
    Unsubscribed.objects.create(email=str(user.email).lower())
    send.work()
    assert mail.recipients == [] and plan.counts(notice)["skipped"] == 1


def test_an_answer_that_is_lost_makes_two_mails_at_most_and_is_marked(
    mail: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(1)
    before = smtplib.SMTP.data

    def lost(self: Any, message: Any) -> Any:
        before(self, message)
        raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")

    monkeypatch.setattr(smtplib.SMTP, "data", lost)
    notice = plan.plan("x", "moving", {}, by="otto")
    for _ in range(8):
        send.work()
        Recipient.objects.update(next_at=timezone.now())
    recipient = Recipient.objects.get(notice=notice)
    assert (len(mail.messages), recipient.state, recipient.perhaps_twice) == (2, "failed", True)


def test_a_server_that_is_away_is_no_lost_answer(mail: Kept, settings: Any) -> None:
    people(1)
    settings.EMAIL_PORT = 1
    notice = sent()
    recipient = Recipient.objects.get(notice=notice)
    assert (recipient.state, recipient.perhaps_twice) == ("waiting", False)


@pytest.mark.parametrize("name", ["größe", "ankündigung", "a b", "a/b", ""])
def test_a_template_has_a_name_that_an_address_can_hold(mail: Kept, name: str) -> None:
    with pytest.raises(Refusal, match="letters a to z"):
        texts.save(name, "en", by="otto", **ENGLISH)


def test_a_template_is_of_one_kind_in_all_languages(mail: Kept) -> None:
    texts.save("moving", "de", by="otto", **(ENGLISH | {"kind": "maintenance"}))
    assert {text.kind for text in texts.of("moving")} == {"maintenance"}


def test_a_language_may_be_written_with_an_underscore(mail: Kept) -> None:
    texts.save("moving", "de", by="otto", **(ENGLISH | {"subject": "zieht um"}))
    people(1, preferred_language="de_DE")
    sent()
    assert mail.messages[0][1]["Subject"] == "zieht um"


def test_the_message_id_unsubscribes_nobody(mail: Kept) -> None:
    people(1)
    sent()
    shown = str(mail.messages[0][1]["Message-ID"]).strip("<>").partition("@")[0]
    Client().post(f"/notices/unsubscribe/{uuid.UUID(shown)}/")
    assert not Unsubscribed.objects.exists()


def test_a_form_that_is_sent_twice_tells_nobody_twice(mail: Kept) -> None:
    people(1)
    said: list[str] = []

    def press() -> None:
        try:
            plan.plan("Moving", "moving", {}, by="otto")
            said.append("ok")
        except Refusal as refusal:
            said.append(refusal.what)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["There is a notice of that name already.", "ok"]


def test_a_wave_without_a_name_is_not_everybody(mail: Kept) -> None:
    people(1)
    with pytest.raises(Refusal, match="The wave has a name"):
        plan.plan("x", "moving", {"wave": ""}, by="otto")


def test_a_time_that_has_passed_is_refused(mail: Kept) -> None:
    people(1)
    with pytest.raises(Refusal, match="has passed"):
        plan.plan("x", "moving", {}, by="otto", starts_at=screens.moment("2026-01-01T00:00"))


def test_waiting_for_a_notice_that_was_stopped_is_no_success(mail: Kept) -> None:
    people(1)
    notice = plan.plan("x", "moving", {}, by="otto")
    plan.move(notice, "stopped", by="otto", reason="a slip")
    with pytest.raises(CommandError, match="It is stopped"):
        call_command("portal", "notify", "x", "--wait")


def test_the_newest_mail_that_was_written_is_shown_whole(console: Client, settings: Any, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", str(tmp_path)
    line = "-" * 79
    mails = [
        f"Content-Type: text/plain\nSubject: number {n}\nTo: a@b.c\n\nabove\n{line}\nbelow {n}\n" for n in range(60)
    ]
    (tmp_path / "1.log").write_text("".join(f"{mail}\n{line}\n" for mail in mails))
    page = console.get("/admin/notices/mail/").content.decode()
    assert "below 59" in page and "number 0<" not in page


def test_the_list_asks_as_often_for_many_as_for_one(mail: Kept, django_assert_max_num_queries: Any) -> None:
    people(1)
    made = [plan.plan(f"n{n}", "moving", {}, by="otto") for n in range(20)]
    with django_assert_max_num_queries(1):
        plan.counts_of_each(made)
    assert Notice.objects.count() == 20


def test_a_role_that_no_database_takes_is_refused(console: Client, mail: Kept) -> None:
    people(1)
    answer = console.post("/admin/notices/plan/", {"who": "all", "role": "a\0b"})
    assert answer.status_code == 200


def test_a_mail_server_that_cannot_be_is_no_recipients_fault(mail: Kept, settings: Any) -> None:
    people(1)
    settings.EMAIL_HOST = "mail..example.org"
    assert Recipient.objects.get(notice=sent()).state == "waiting"
