"""Operators' accounts: added ready for work, changed on record, never removed."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from migration_portal.audit.models import Event
from tests import builders
from tests.console.browsing import browser, words
from tests.world import World

PASSWORD = "An Operator's Password 1"


@pytest.fixture
def superuser(world: World) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    return client


def test_who_is_added_may_enter_and_has_the_groups_that_were_ticked(superuser: Client) -> None:
    page = superuser.get("/admin/auth/user/").content.decode()
    assert 'href="/admin/auth/user/add/"' in page
    form = superuser.get("/admin/auth/user/add/").content.decode()
    assert "Agrees to what restores" in form and 'name="is_staff"' in form
    group = Group.objects.get(name="operator")
    typed = {"username": "anna", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    answer = superuser.post("/admin/auth/user/add/", typed | {"is_staff": "on", "groups": [group.pk]}, follow=True)
    anna = User.objects.get(username="anna")
    assert anna.is_staff and anna.groups.get() == group, words(answer)
    event = Event.objects.get(verb="add_operator")
    assert (event.actor, event.object_id) == ("root", str(anna.pk))
    assert event.data["to"] == "anna: may sign in, staff; groups: operator"


def test_what_changes_about_an_account_is_on_record_without_its_password(superuser: Client) -> None:
    anna = builders.member("viewer", username="anna")
    group = Group.objects.get(name="approver")
    superuser.post(f"/admin/auth/user/{anna.pk}/change/", {"username": "anna", "is_staff": "on", "groups": [group.pk]})
    event = Event.objects.get(verb="change_operator")
    assert event.data == {"from": "anna: may sign in, staff; groups: viewer", "to": "anna: staff; groups: approver"}
    typed = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true", "set-password": "1"}
    superuser.post(f"/admin/auth/user/{anna.pk}/password/", typed)
    anna.refresh_from_db()
    assert anna.check_password(PASSWORD)
    event = Event.objects.get(verb="set_password")
    assert event.object_id == str(anna.pk) and PASSWORD not in str(event.data)


def test_nobody_is_removed(superuser: Client) -> None:
    anna = builders.member("viewer", username="anna")
    assert superuser.post(f"/admin/auth/user/{anna.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [anna.pk], "post": "yes"}
    superuser.post("/admin/auth/user/", chosen)
    assert User.objects.filter(username="anna").exists()


def test_a_group_says_what_it_is_for_and_its_changes_are_on_record(superuser: Client) -> None:
    assert "Does the work: runs, cut-overs" in superuser.get("/admin/auth/group/").content.decode()
    group = Group.objects.get(name="viewer")
    kept = list(group.permissions.values_list("pk", flat=True))
    gone = group.permissions.get(codename="view_run")
    chosen = {"name": "viewer", "permissions": [pk for pk in kept if pk != gone.pk]}
    superuser.post(f"/admin/auth/group/{group.pk}/change/", chosen)
    event = Event.objects.get(verb="change_group")
    assert (event.data, event.reason) == ({"from": ["view_run"], "to": []}, "viewer")


@pytest.mark.parametrize("group", ["viewer", "support", "operator", "approver"])
def test_accounts_are_for_superusers(world: World, group: str) -> None:
    client = browser(group)
    for place in ("user/", "user/add/", "group/", "group/1/change/"):
        assert client.get(f"/admin/auth/{place}").status_code == 403
