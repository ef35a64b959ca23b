"""The waves' pages: planning with a preview, each verb by its button, and who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from flags.models import TenantHome
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.cutover.work import work
from tests import builders
from tests.world import World

SHARE = {"kind": "share", "percent": "100", "at_once": "2", "name": "week 4"}


@pytest.fixture
def console(home: str) -> Client:
    builders.member("operator", username="otto")
    client = Client()
    client.login(username="otto", password="secret-pass-1")
    return client


def planned(console: Client, **fields: Any) -> Wave:
    answer = console.post("/admin/waves/plan/", SHARE | fields | {"plan": "yes"})
    assert answer.status_code == 302, answer.content.decode()
    return Wave.objects.latest("id")


def test_a_preview_plans_nothing(console: Client) -> None:
    page = console.post("/admin/waves/plan/", SHARE).content.decode()
    assert "1 tenant with 2 users" in page and not Wave.objects.exists()


def test_a_rule_of_the_form_has_each_of_its_fields(console: Client, home: str) -> None:
    fields = {"kind": "rule", "users_from": "1", "users_to": "9", "plans": "gold none", "ids_from": "0", "most": "3"}
    assert planned(console, **fields).rule == {
        "kind": "rule", "users_from": 1, "users_to": 9, "plans": ["gold", "none"], "ids_from": "0", "most": 3,
    }  # fmt: skip


def test_a_wave_is_planned_started_and_shown_as_it_goes(console: Client) -> None:
    wave = planned(console)
    place = f"/admin/waves/{wave.pk}/"
    assert b"To confirm, type" in console.post(f"{place}start/", {"typed": "week"}, follow=True).content
    console.post(f"{place}start/", {"typed": "week 4", "reason": "planned"})
    wave.refresh_from_db()
    assert wave.state == "running" and Cutover.objects.get().wave == "week 4"
    assert b"1 to go" in console.get(f"{place}live/").content
    work()
    page = console.get(place).content.decode()
    assert "1 of 1 tenants moved" in page and "1 of 1" in console.get("/admin/waves/").content.decode()


@pytest.mark.parametrize("verb", ["pause", "resume", "stop", "retry"])
def test_each_verb_is_a_button(console: Client, verb: str) -> None:
    wave = planned(console)
    place = f"/admin/waves/{wave.pk}/"
    console.post(f"{place}start/", {"typed": "week 4"})
    if verb == "resume":
        console.post(f"{place}pause/")
    if verb == "retry":
        console.post(f"{place}stop/", {"reason": "x"})
    console.post(f"{place}{verb}/", {"reason": "x"})
    wave.refresh_from_db()
    assert wave.state == {"pause": "paused", "resume": "running", "stop": "stopped", "retry": "running"}[verb]
    assert console.get(f"{place}{verb}/").status_code == 405


def test_every_move_is_stopped_from_the_board(console: Client, home: str) -> None:
    wave = planned(console)
    console.post(f"/admin/waves/{wave.pk}/start/", {"typed": "week 4"})
    assert b"Moves stopped: 1" in console.post("/admin/cutover/stop/", {"reason": "complaints"}, follow=True).content
    assert work() == 0 and TenantHome.objects.get(pk=home).home == "legacy"


def test_a_dry_run_says_what_is_in_the_way(console: Client, world: World, home: str) -> None:
    with world.iam() as iam:
        iam.execute("UPDATE users SET full_name = 'Changed' WHERE username = 'ann'")
    page = console.get(f"/admin/waves/{planned(console).pk}/?dry_run=yes").content.decode()
    assert "be blocked" in page and "1 rows of users differ" in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"percent": "many"}, {"percent": "-1"}, {"percent": "²"}, {"kind": "odd"}, {"at_once": "0"}, {"name": " "},
        {"starts_at": "soon"}, {"starts_at": "2026-13-45T99:00"}, {"opens": "22:00"}, {"opens": "25:99", "closes": "01:00"},
        {"kind": "named", "tenants": "nobody"}, {"kind": "named", "tenants": ""}, {"kind": "rule", "users_from": "1e3"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_the_form_kept(console: Client, wrong: dict[str, str]) -> None:
    page = console.post("/admin/waves/plan/", SHARE | wrong | {"plan": "yes"})
    assert page.status_code == 200 and not Wave.objects.exists()


def test_planning_is_for_operators(home: str) -> None:
    builders.member("viewer", username="vera")
    client = Client()
    client.login(username="vera", password="secret-pass-1")
    assert client.get("/admin/waves/").status_code == 200
    for page in ("waves/plan/", "cutover/stop/"):
        assert client.post(f"/admin/{page}", SHARE | {"plan": "yes", "reason": "x"}).status_code == 403
