"""The support desk: found by anything, the whole story on one page, signed out everywhere; all on the record."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from migration_portal.audit.models import Event
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.support.find import find
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.engine.changes import change
from tests.iam.conftest import Api
from tests.iam.conftest import api as api  # the fixture
from tests.legacy_compat.conftest import PASSWORD
from tests.stack import furnished
from tests.world import World


@pytest.fixture
def console(world: World) -> Client:
    builders.member("support", username="sue")
    client = Client()
    client.login(username="sue", password="secret-pass-1")
    return client


@furnished
def ann(world: World) -> str:
    """Of a tenant that was cut over; a namesake of hers could not be copied."""
    builders.legacy_tables(world)
    home = builders.tenant(world, name="Acme")
    made = builders.user(world, home, username="ann", email="Ann@Example.org", full_name="Ann Lee", mfa_enabled=True)
    builders.user(world, str(uuid.uuid4()), username="lost", email="lost@example.org")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return made


@pytest.mark.parametrize("who", ["ann@example.ORG", "ann", "ANN", "Ann Le", "  ann  "])
def test_a_person_is_found_by_any_identifier(ann: str, who: str) -> None:
    assert [each.id for each in find(who)[0]] == [ann]


@pytest.mark.parametrize("spelled", [str.upper, str.lower, lambda id: f" {id} "])
def test_ids_are_found_however_they_are_spelled(ann: str, spelled: Any) -> None:
    assert [each.id for each in find(spelled(ann))[0]] == [ann]


def test_who_is_called_exactly_so_comes_before_who_is_called_almost_so(ann: str, world: World) -> None:
    iam(
        world, "INSERT INTO users (tenant_id, username, full_name, hashed_password)"
        " SELECT tenant_id, 'a' || number, 'Ann Leeds', 'x' FROM users, generate_series(1, 60) AS number",
    )  # fmt: skip
    assert find("ann lee")[0][0].id == ann
    out = io.StringIO()
    legacy(world, "UPDATE users SET full_name = 'Bo' WHERE username = 'lost'")
    call_command("portal", "person", "Ann Lee", stdout=out)
    assert out.getvalue().startswith("Ann Lee  ")


def test_who_is_in_legacy_only_is_found_there(ann: str) -> None:
    found, _ = find("lost@example.org")
    assert [(each.side, each.email) for each in found] == [("legacy", "lost@example.org")]


@pytest.mark.parametrize("who", ["", "\0", "nobody", "%", "_", "';--", "x" * 5000])
def test_nobody_is_no_error(ann: str, who: str) -> None:
    assert find(who) == ([], [])


def test_the_page_tells_the_whole_story(ann: str, console: Client, world: World) -> None:
    home = str(world.iam().execute("SELECT tenant_id FROM users WHERE id = %s", [ann]).fetchone()[0])  # type: ignore[index]
    moved(home)
    with world.iam() as iam:
        iam.execute("UPDATE users SET bio = 'only here' WHERE id = %s", [ann])
    page = console.get(f"/admin/support/{ann}/").content.decode()
    for part in (
        "lives in the IAM",
        "Acme",
        "Run ",
        "only here",
        "differs",
        "(secret)",
        "mfa on, enrolled",
        "oauth2_enabled off",
        "cut over",
    ):
        assert part in page, part
    assert builders.HASH not in page
    assert Event.objects.filter(verb="view_person", actor="sue", object_id=ann).exists()


def test_who_was_not_copied_has_a_page_with_why(ann: str, console: Client) -> None:
    lost = find("lost@example.org")[0][0].id
    page = console.get(f"/admin/support/{lost}/").content.decode()
    assert "not in the IAM" in page and "missing_tenants" in page


def test_nobody_has_no_page(ann: str, console: Client) -> None:
    for id in (str(uuid.uuid4()), "nobody"):
        assert console.get(f"/admin/support/{id}/").status_code == 404


def test_a_database_that_does_not_answer_is_named_and_the_rest_shown(ann: str, console: Client, settings: Any) -> None:
    settings.LEGACY_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    page = console.get(f"/admin/support/{ann}/").content.decode()
    assert "legacy database" in page and "Ann Lee" in page


def test_support_signs_a_person_out_everywhere(api: Api, console: Client) -> None:
    pair = api.login().json()
    old = api.client.post("/api/auth/login", {"username": api.admin.username, "password": PASSWORD}).json()
    place = f"/admin/support/{api.admin.pk}/end-sessions/"
    assert b"needs a reason" in console.post(place, follow=True).content
    console.post(place, {"reason": "stolen telephone"})
    assert api.call("GET", "/me", pair["access_token"]).status_code == 401
    assert api.call("POST", "/auth/refresh", "", refresh_token=pair["refresh_token"]).status_code == 401
    assert api.client.post("/api/auth/refresh", {"refresh_token": old["refresh_token"]}).status_code == 401
    assert api.login().status_code == 200
    assert Event.objects.get(verb="end_sessions").reason == "stolen telephone"


def test_people_are_for_support_alone(ann: str) -> None:
    builders.member("viewer", username="vera")
    client = Client()
    client.login(username="vera", password="secret-pass-1")
    for page in ("", f"{ann}/"):
        assert client.get(f"/admin/support/{page}").status_code == 403
    assert client.post(f"/admin/support/{ann}/end-sessions/", {"reason": "x"}).status_code == 403


def test_the_terminal_tells_the_same_as_json(ann: str, world: World) -> None:
    out = io.StringIO()
    call_command("portal", "person", "ann@example.org", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["id"] == ann and told["lives_in"] == "legacy"
    assert {each["name"]: each["same"] for each in told["fields"]}["email"] is True
    change(world, "UPDATE users SET username = 'ann2' WHERE username = 'lost'")
    with pytest.raises(CommandError, match="2 people fit|Nobody"):
        call_command("portal", "person", "n", stdout=io.StringIO())
        call_command("portal", "person", "nobody at all", stdout=io.StringIO())
