"""Every page of the console and every role: doors.txt says who may read it and who may send it a form."""

from __future__ import annotations

from pathlib import Path

from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.console.lived_in import ROLES, addresses
from tests.console.lived_in import lived_in as lived_in  # the fixture
from tests.world import World

_DOORS = Path(__file__).with_name("doors.txt")
_OPEN = {"admin/jsi18n/", "admin/login/"}
"""What a visitor may use who has not signed in: words of the date picker, and where one signs in."""
_ENDS_THE_SESSION = "admin/logout/"
_MOST_QUERIES = 60


def signed_in(name: str, **options: bool) -> Client:
    client = Client(**options)
    client.force_login(User.objects.get(username=name))
    return client


def test_every_door_opens_for_those_of_the_table_and_nobody_else(world: World, lived_in: dict[str, str]) -> None:
    clients = {name: signed_in(name) for name in (*ROLES, "root")}
    found = []
    for pattern, address in addresses(lived_in):
        if pattern != _ENDS_THE_SESSION:
            read = [name for name, client in clients.items() if client.get(address).status_code < 400]
            sent = [name for name, client in clients.items() if client.post(address).status_code < 400]
            found.append(f"{pattern:58} {_who(read)} {_who(sent)}".rstrip())
    assert "\n".join(found) + "\n" == _DOORS.read_text(encoding="utf-8")


def test_who_has_not_signed_in_is_asked_to_at_every_door(world: World, lived_in: dict[str, str]) -> None:
    visitor = Client()
    for pattern, address in addresses(lived_in):
        for answer in (visitor.get(address, follow=True), visitor.post(address, follow=True)):
            assert pattern in _OPEN or answer.redirect_chain[-1][0].startswith("/admin/login/"), address


def test_no_door_takes_a_form_that_another_site_sent(world: World, lived_in: dict[str, str]) -> None:
    root = signed_in("root", enforce_csrf_checks=True)
    assert {root.post(address).status_code for _, address in addresses(lived_in)} == {403}


def test_every_page_asks_its_databases_a_bounded_number_of_times(world: World, lived_in: dict[str, str]) -> None:
    root = signed_in("root")
    asked = {}
    for pattern, address in addresses(lived_in):
        with CaptureQueriesContext(connections["default"]) as ours, CaptureQueriesContext(connections["iam"]) as iam:
            root.get(address)
        asked[pattern] = len(ours) + len(iam)
    assert {pattern: count for pattern, count in asked.items() if count > _MOST_QUERIES} == {}


def _who(names: list[str]) -> str:
    """viewer and operator: v.o.."""
    return "".join(name[0] if name in names else "." for name in (*ROLES, "root"))
