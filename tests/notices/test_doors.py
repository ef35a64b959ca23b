"""Notices in the console and from a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from migration_portal.notices import plan, send, texts
from migration_portal.notices.models import Notice, Text
from tests import builders
from tests.iam.conftest import api as api  # the fixture
from tests.notices.conftest import ENGLISH, people, sent
from tests.notices.smtp import Kept
from tests.world import World


def test_a_text_is_written_previewed_and_tested_in_the_console(console: Client, mail: Kept) -> None:
    form = {"template": "hello", "language": "en", **ENGLISH}
    assert "Dear Ann Lee" in console.post("/admin/notices/text/", form).content.decode()
    console.post("/admin/notices/text/", form | {"test": "yes", "to": "me@example.org"})
    assert mail.recipients == ["me@example.org"] and mail.messages[0][1]["Subject"].startswith("[test] Acme")
    page = console.post("/admin/notices/text/", form | {"text": "$who", "subject": "kept"}).content.decode()
    assert "Nobody fills in $who" in page and "kept" in page and Text.objects.get(template="hello").subject != "kept"


def test_a_notice_is_counted_planned_and_followed_in_the_console(console: Client, mail: Kept) -> None:
    people(2)
    form = {"name": "Moving", "template": "moving", "who": "all", "mail": "yes"}
    assert b"2 people would get it" in console.post("/admin/notices/plan/", form).content
    place = console.post("/admin/notices/plan/", form | {"plan": "yes"})["Location"]
    send.work()
    assert (
        b"2 of 2 sent" in console.get(f"{place}live/").content and b"Moving" in console.get("/admin/notices/").content
    )
    for wrong in (
        {"who": "odd"},
        {"template": "none"},
        {"mail": ""},
        {"starts_at": "soon"},
        {"who": "tenants", "which": "x"},
    ):
        assert console.post("/admin/notices/plan/", form | wrong | {"plan": "yes"}).status_code == 200
    assert Notice.objects.count() == 1


def test_mail_is_written_to_files_and_shown_where_no_server_is_set(
    console: Client, world: World, settings: Any, tmp_path: Path
) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", str(tmp_path)
    settings.NOTICES_PER_SECOND = 10_000
    texts.save("moving", "en", by="otto", **ENGLISH)
    people(2)
    sent()
    page = console.get("/admin/notices/mail/").content.decode()
    assert page.count("Acme moves on") == 2 and "Dear Person &lt;" in page


def test_notices_are_for_operators(world: World) -> None:
    builders.member("viewer", username="vera")
    client = Client()
    client.login(username="vera", password="secret-pass-1")
    assert client.get("/admin/notices/").status_code == 200
    assert client.get("/admin/notices/plan/").status_code == 403
    assert client.post("/admin/notices/text/", {"template": "x", "language": "en", **ENGLISH}).status_code == 403


def test_the_terminal_counts_tests_plans_and_says_how_far_it_is(mail: Kept) -> None:
    def portal(*arguments: str) -> str:
        out = io.StringIO()
        call_command("portal", "notify", *arguments, stdout=out)
        return out.getvalue()

    here = people(2)
    assert json.loads(portal("x", "--count", "--json"))["people"] == 2
    portal("x", "--template", "moving", "--test", "me@example.org")
    assert mail.recipients == ["me@example.org"]
    told = json.loads(portal("Moving", "--template", "moving", "--to", f"tenants:{here[0].tenant_id}", "--json"))
    assert told["state"] == "planned" and told["next_steps"]
    send.work()
    assert "Moving: sent, 2 of 2 sent." in portal("Moving")
    mail.refuse = {str(here[0].email): "550 no"}
    plan.plan("Again", "moving", {}, by="otto")
    send.work()
    for arguments, why in (
        (("Again",), "1 were not delivered"),
        (("None",), "no such notice"),
        (("x", "--count", "--to", "odd"), "goes to"),
    ):
        with pytest.raises(CommandError, match=why):
            portal(*arguments)
