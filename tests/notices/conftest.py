"""A mail server, a template, people, and an operator's console."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from iam.models import User
from migration_portal.notices import plan, send, texts
from migration_portal.notices.models import Notice
from tests import builders
from tests.legacy_compat.conftest import make_tenant, make_user
from tests.notices.smtp import Kept, mail_server
from tests.world import World

ENGLISH = {
    "kind": "announcement",
    "subject": "$tenant moves on $date",
    "text": "Dear $name,\n$tenant moves.",
    "html": "<p>Dear $name</p>",
}
LINKED = {
    "kind": "maintenance",
    "subject": "Choose a password",
    "text": "Dear $name: $password_link",
    "html": '<a href="$password_link">Choose</a>',
}


_numbers = itertools.count()


@pytest.fixture
def mail(world: World, settings: Any) -> Iterator[Kept]:
    settings.NOTICES_PER_SECOND = 10_000
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.PUBLIC_URL = "https://portal.example.org"
    with mail_server() as (kept, port):
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, False
        texts.save("moving", "en", by="otto", **ENGLISH)
        yield kept


def people(count: int, **values: Any) -> list[User]:
    tenant = make_tenant(name="Acme")
    return [make_user(tenant, full_name=f"Person <{n}>", **values) for n in range(count)]


def sent(who: dict[str, Any] | None = None, template: str = "moving", **options: Any) -> Notice:
    made = plan.plan(f"Moving {next(_numbers)}", template, who or {}, by="otto", **options)
    send.work()
    made.refresh_from_db()
    return made


@pytest.fixture
def console(world: World) -> Client:
    builders.member("operator", username="otto")
    client = Client()
    client.login(username="otto", password="secret-pass-1")
    return client
