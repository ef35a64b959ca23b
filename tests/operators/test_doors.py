"""Signing in to the console."""

from __future__ import annotations

import time
from typing import Any

import pyotp
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from iam import throttles
from migration_portal.audit.models import Event
from migration_portal.console.confirming import SHOWN
from tests.world import World

PASSWORD = "an operator's phrase"


@pytest.fixture
def world(rolled_back: World) -> World:
    throttles._limiter().storage.reset()
    return rolled_back


def operator(name: str = "ann", *groups: str, **more: Any) -> User:
    made = User.objects.create_user(name, password=PASSWORD, is_staff=True, **more)
    made.groups.set(Group.objects.filter(name__in=groups or ("operator",)))
    return made


def sign_in(password: str = PASSWORD, name: str = "ann", ip: str = "192.0.2.1") -> tuple[Client, Any]:
    client = Client(REMOTE_ADDR=ip)
    return client, client.post("/admin/login/?next=/admin/", {"username": name, "password": password})


def enrolled(user: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=user, name="console", confirmed=True)


def code_of(device: TOTPDevice, ahead: int = 0) -> str:
    made = TOTP(device.bin_key)
    made.time = time.time() + 30 * ahead
    return f"{made.token():06d}"


def test_wrong_passwords_lock_an_operator_out_of_one_network(world: World) -> None:
    operator()
    for _ in range(throttles.FAILURES):
        assert sign_in("wrong")[1].status_code == 200
    assert sign_in()[1].status_code == 200
    assert sign_in(ip="192.0.2.2")[1].status_code == 302


def test_without_redis_operators_still_get_in(world: World, settings: Any) -> None:
    operator()
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    assert sign_in()[1].status_code == 302
    assert sign_in("wrong")[1].status_code == 200


def test_an_operator_enrols_and_signs_in_with_codes_from_then_on(world: World) -> None:
    operator()
    client, _ = sign_in()
    page = client.get("/admin/second-factor/")
    assert b"<svg" in page.content
    assert b"no code" in client.post("/admin/second-factor/", {"code": "000000"}).content
    TOTPDevice.objects.update(throttling_failure_timestamp=None, throttling_failure_count=0)
    done = client.post("/admin/second-factor/", {"code": pyotp.TOTP(page.context["secret"]).now()}, follow=True)
    codes = done.context["codes"]
    assert client.get("/admin/second-factor/codes/").status_code == 302  # once
    assert len(codes) == 10 and client.get("/admin/").status_code == 200
    other, _ = sign_in()
    assert other.get("/admin/").headers["Location"] == "/admin/second-factor/?next=%2Fadmin%2F"
    assert other.post("/admin/second-factor/", {"code": "000000"}).status_code == 200
    assert other.get("/admin/").status_code == 302
    for kind in (TOTPDevice, StaticDevice):
        kind.objects.update(throttling_failure_timestamp=None, throttling_failure_count=0)
    assert other.post("/admin/second-factor/", {"code": codes[0], "next": "/admin/"}).headers["Location"] == "/admin/"
    assert other.get("/admin/").status_code == 200
    third, _ = sign_in()
    third.post("/admin/second-factor/", {"code": codes[0]})  # each counts once
    assert third.get("/admin/").status_code == 302
    assert set(Event.objects.values_list("verb", flat=True)) >= {"enrol_second_factor", "show_second_factor"}


def test_a_code_counts_once(world: World) -> None:
    device = enrolled(operator())
    code = code_of(device)
    for expected in (302, 200):
        client, _ = sign_in()
        assert client.post("/admin/second-factor/", {"code": code}).status_code == expected


def test_where_all_need_a_second_factor_nothing_is_seen_without(world: World, settings: Any) -> None:
    operator()
    client, _ = sign_in()
    assert client.get("/admin/runs/run/").status_code == 200
    settings.CONSOLE_SECOND_FACTOR = True
    assert client.get("/admin/runs/run/").headers["Location"].startswith("/admin/second-factor/")
    assert client.get("/admin/confirm/").status_code == 302
    assert client.post("/admin/logout/").status_code in (200, 302)


def test_a_superuser_helps_who_lost_their_device_and_sees_no_secret(world: World) -> None:
    user = operator()
    device = enrolled(user)
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss", password=PASSWORD))
    page = boss.get(f"/admin/otp_totp/totpdevice/{device.pk}/change/")
    assert page.status_code == 200 and device.key.encode() not in page.content
    assert boss.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not TOTPDevice.objects.filter(user=user).exists()
    assert Event.objects.filter(verb="remove_second_factor", object_id=str(user.pk)).exists()
    mine, _ = sign_in()
    assert mine.get("/admin/otp_totp/totpdevice/").status_code == 403


def test_who_is_in_no_group_sees_nothing(world: World) -> None:
    User.objects.create_user("ann", password=PASSWORD, is_staff=True)
    client, _ = sign_in()
    for path in ("/admin/", "/admin/dashboard/live/", "/admin/runs/run/"):
        page = client.get(path)
        assert b"in no group yet" in page.content, path


def later(client: Client, key: str, seconds: float) -> None:
    session = client.session
    session[key] = time.time() - seconds
    session.save()


def test_an_operator_who_is_away_is_signed_out_and_polling_is_not_being_there(world: World) -> None:
    operator()
    client, _ = sign_in()
    assert client.get("/admin/").status_code == 200
    later(client, "console_seen", 3500)
    assert client.get("/admin/dashboard/live/", headers={"HX-Request": "true"}).status_code == 200
    later(client, "console_seen", 3700)
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")
    assert client.get("/admin/").status_code == 302


def test_a_day_ends_whatever_is_done(world: World, settings: Any) -> None:
    operator()
    client, _ = sign_in()
    client.get("/admin/")
    later(client, "console_since", settings.SESSION_COOKIE_AGE + 1)
    assert client.get("/admin/").status_code == 302


def test_what_is_dangerous_wants_a_fresh_proof(world: World) -> None:
    operator("ann", "operator", "approver")
    client, _ = sign_in()
    client.get("/admin/")
    later(client, SHOWN, 901)
    typed = {"typed": "finalize", "reason": "done"}
    asked = client.post("/admin/cutover/finalize/", typed)
    assert asked.headers["Location"].startswith("/admin/confirm/?next="), asked.headers
    assert client.post("/admin/confirm/", {"shown": "wrong"}).status_code == 200
    assert (
        client.post("/admin/confirm/", {"shown": PASSWORD, "next": "/admin/cutover/"}).headers["Location"]
        == "/admin/cutover/"
    )
    assert not client.post("/admin/cutover/finalize/", typed).headers["Location"].startswith("/admin/confirm/")


def test_the_proof_is_a_code_where_one_has_enrolled(world: World) -> None:
    device = enrolled(operator())
    client, _ = sign_in()
    client.post("/admin/second-factor/", {"code": code_of(device)})
    later(client, SHOWN, 901)
    assert client.post("/admin/confirm/", {"shown": PASSWORD}).status_code == 200
    TOTPDevice.objects.update(throttling_failure_timestamp=None, throttling_failure_count=0)
    assert client.post("/admin/confirm/", {"shown": code_of(device, ahead=1)}).status_code == 302


def test_operators_are_changed_by_who_has_just_shown_who_they_are(world: World) -> None:
    user = operator()
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss", password=PASSWORD))
    boss.get("/admin/")
    later(boss, SHOWN, 901)
    path = f"/admin/auth/user/{user.pk}/password/"
    body = {"password1": "a brand new phrase", "password2": "a brand new phrase", "usable_password": "true"}
    assert boss.post(path, body).headers["Location"].startswith("/admin/confirm/")
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_no_page_of_ours_lets_a_script_in(world: World) -> None:
    operator()
    client, _ = sign_in()
    for path in ("/admin/", "/admin/second-factor/"):
        policy = client.get(path)["Content-Security-Policy"]
        scripts = next(part for part in policy.split(";") if "script-src" in part)
        assert "unsafe-inline" not in scripts and "frame-ancestors 'none'" in policy
    assert "unsafe" not in client.get("/oauth/sign-in")["Content-Security-Policy"]


@pytest.mark.parametrize("weak", ["short", "password123"])
def test_operators_passwords_have_rules(world: World, weak: str) -> None:
    operator()
    client, _ = sign_in()
    body = {"old_password": PASSWORD, "new_password1": weak, "new_password2": weak}
    assert client.post("/admin/password_change/", body).status_code == 200
    assert User.objects.get(username="ann").check_password(PASSWORD)


def test_a_page_of_recovery_codes_that_is_loaded_again_makes_no_others(world: World) -> None:
    device = enrolled(operator())
    client, _ = sign_in()
    client.post("/admin/second-factor/", {"code": code_of(device)})
    answer = client.post("/admin/second-factor/", {"renew": "yes"})
    assert answer.headers["Location"].startswith("/admin/second-factor/codes/")
    before = set(StaticToken.objects.values_list("token", flat=True))
    for _ in range(2):
        client.get(answer.headers["Location"])
    assert set(StaticToken.objects.values_list("token", flat=True)) == before


def test_wrong_codes_of_an_authenticator_spare_the_recovery_codes(world: World) -> None:
    user = operator()
    enrolled(user)
    recovery = StaticDevice.objects.create(user=user, name="recovery")
    recovery.token_set.create(token="abcd2345")
    client, _ = sign_in()
    for _ in range(5):
        client.post("/admin/second-factor/", {"code": "000000"})
    assert client.post("/admin/second-factor/", {"code": "ABCD 2345", "next": "/admin/"}).status_code == 302
    assert not TOTPDevice.objects.filter(throttling_failure_count__gt=0).exists()


def test_a_console_that_was_left_alone_gets_nobody_a_second_factor(world: World) -> None:
    operator()
    client, _ = sign_in()
    first = client.get("/admin/second-factor/").context["secret"]
    assert client.get("/admin/second-factor/").context["secret"] != first
    later(client, SHOWN, 901)
    for answer in (client.get("/admin/second-factor/"), client.post("/admin/second-factor/", {"code": "000000"})):
        assert answer.headers["Location"].startswith("/admin/confirm/")


def test_the_proof_can_be_shown_without_redis(world: World, settings: Any) -> None:
    operator()
    client, _ = sign_in()
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    assert client.post("/admin/confirm/", {"shown": "wrong"}).status_code == 200
    assert client.post("/admin/confirm/", {"shown": PASSWORD}).status_code == 302


def test_removing_a_second_factor_wants_a_fresh_proof(world: World) -> None:
    device = enrolled(operator())
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss", password=PASSWORD))
    boss.get("/admin/")
    later(boss, SHOWN, 901)
    asked = boss.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"})
    assert asked.headers["Location"].startswith("/admin/confirm/") and TOTPDevice.objects.exists()


def test_a_part_of_a_page_leads_to_the_login_as_a_whole(world: World) -> None:
    operator()
    client, _ = sign_in()
    client.get("/admin/")
    later(client, "console_seen", 3700)
    for _ in range(2):  # signed out now, and gone already
        answer = client.get("/admin/dashboard/live/", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.content, answer["HX-Refresh"]) == (200, b"", "true")


def test_every_door_of_the_console_has_the_policies_headers(world: World) -> None:
    User.objects.create_user("ann", password=PASSWORD, is_staff=True)
    client, _ = sign_in()
    answer = client.get("/admin/")
    assert (
        answer.status_code == 403
        and answer["X-Frame-Options"] == "DENY"
        and "Content-Security-Policy" in answer.headers
    )


def test_sign_ins_and_lock_outs_are_in_the_audit_log(world: World) -> None:
    operator()
    sign_in()
    for _ in range(throttles.FAILURES + 1):
        sign_in("wrong")
    verbs = list(Event.objects.values_list("verb", flat=True))
    assert verbs.count("sign_in") == 1 and "lock_out" in verbs


def test_next_is_an_address_and_no_word(world: World) -> None:
    operator()
    client, _ = sign_in()
    for wanted in ("word", "//evil.example/", "https://evil.example/"):
        assert client.post("/admin/confirm/", {"shown": PASSWORD, "next": wanted}).headers["Location"] == "/admin/"
