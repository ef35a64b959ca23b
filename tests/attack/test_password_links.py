"""What strangers tried on the page where a password is chosen by a link."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections
from django.test import Client
from django.utils import timezone

from flags import maintenance
from flags.models import TenantHome
from iam import at_login, password_links, throttles
from iam.models import Tenant, TenantSettings, User
from migration_portal.cutover import guard
from migration_portal.rollback.doors import close_doors
from tests.attack.linked import CHOSEN, ODD, PAGE, choose, client
from tests.attack.linked import ann as ann
from tests.cutover.moves import moved
from tests.iam.conftest import Api
from tests.iam.conftest import api as api
from tests.legacy_compat.conftest import make_user
from tests.world import World


def test_two_posts_at_once_set_one_password(api: Api, ann: User) -> None:
    token, answers = password_links.token_of(ann), []
    barrier = threading.Barrier(6)

    def post(n: int) -> None:
        barrier.wait()
        answers.append((choose(token, f"{CHOSEN} number {n}").status_code, n))
        connections.close_all()

    threads = [threading.Thread(target=post, args=(n,)) for n in range(6)]
    [t.start() for t in threads]
    [t.join(60) for t in threads]
    assert sorted(status for status, _ in answers) == [200] + [410] * 5
    winner = next(n for status, n in answers if status == 200)
    assert api.login(ann, password=f"{CHOSEN} number {winner}").status_code == 200


def test_switching_an_account_on_again_revives_no_link(ann: User) -> None:
    """security.md: 'Switching an account on again revives nothing.'"""
    token = password_links.token_of(ann)
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert choose(token).status_code == 410
    User.objects.filter(pk=ann.pk).update(is_active=True)
    assert choose(token).status_code == 410


def test_a_link_ends_when_the_address_it_went_to_is_no_longer_the_users(ann: User) -> None:
    token = password_links.token_of(ann)
    User.objects.filter(pk=ann.pk).update(email="corrected@example.org")
    assert choose(token).status_code == 410


def test_a_link_ends_when_its_owner_signs_in_with_the_password_they_know(api: Api) -> None:
    user = make_user(api.tenant)
    token = password_links.token_of(user)
    assert api.login(user).status_code == 200
    assert choose(token).status_code == 410


def test_a_user_removed_while_the_form_is_posted_is_a_dead_link(world: World, ann: User) -> None:
    token, answers = password_links.token_of(ann), []

    def post() -> None:
        answers.append(choose(token).status_code)
        connections.close_all()

    with psycopg.connect(world.url("iam")) as other:
        other.execute("DELETE FROM users WHERE id = %s", [ann.pk])
        thread = threading.Thread(target=post)
        thread.start()
        thread.join(1.5)
        assert thread.is_alive()
        other.commit()
    thread.join(30)
    assert answers == [410]


def test_a_user_switched_off_while_the_form_is_posted_is_a_dead_link(world: World, ann: User) -> None:
    token, answers = password_links.token_of(ann), []

    def post() -> None:
        answers.append(choose(token).status_code)
        connections.close_all()

    with psycopg.connect(world.url("iam")) as other:
        other.execute("UPDATE users SET is_active = false WHERE id = %s", [ann.pk])
        thread = threading.Thread(target=post)
        thread.start()
        thread.join(1.5)
        other.commit()
    thread.join(30)
    assert answers == [410]


@pytest.mark.parametrize("token", ["\0", "a\0:b:c", "x" * 1_000_000, "\u202e:\u202e:x", ":::", "." * 50, ".a:b:c"])
def test_odd_tokens_are_dead(ann: User, token: str) -> None:
    assert client().get(PAGE, {"token": token}).status_code in (410, 400)
    assert choose(token).status_code in (410, 400)


@pytest.mark.parametrize("password", ["\0" * 20, "p" * 5000, "é" * 500, "😀" * 200, "a\0" * 9, "x" * 1_000_000])
def test_odd_passwords_are_no_500(ann: User, password: str) -> None:
    assert choose(password_links.token_of(ann), password).status_code in (200, 400, 422)


@pytest.mark.parametrize(
    "charset", ["unicode_escape", "raw_unicode_escape", "utf-7", "idna", "punycode", "rot13", "hex"]
)
@pytest.mark.parametrize("path", [PAGE])
def test_a_token_in_an_odd_encoding_is_no_500(ann: User, charset: str, path: str) -> None:
    answer = client().generic("GET", path + "?token=%5Cud800:a:b", content_type=f"text/plain; charset={charset}")
    assert answer.status_code < 500


@pytest.mark.parametrize("field", ["token", "new_password"])
def test_half_a_surrogate_pair_in_a_form_is_no_500(ann: User, field: str) -> None:
    values = {"token": password_links.token_of(ann), "new_password": CHOSEN, "again": CHOSEN}
    values[field] = values[field] + "\\ud800"
    if field == "new_password":
        values["again"] = values[field]
    body = (
        "".join(f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in values.items())
        + "--x--\r\n"
    )
    answer = client().generic(
        "POST", PAGE, body, content_type="multipart/form-data; boundary=x; charset=unicode_escape"
    )
    assert answer.status_code < 500


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_change_nothing(ann: User, method: str) -> None:
    answer = client().generic(method, f"{PAGE}?token={password_links.token_of(ann)}")
    assert answer.status_code == 405


def test_head_is_answered_as_get(ann: User) -> None:
    assert client().head(PAGE, {"token": password_links.token_of(ann)}).status_code == 200


def test_csrf(ann: User) -> None:
    token, browser = password_links.token_of(ann), Client(enforce_csrf_checks=True)
    form = {"token": token, "new_password": CHOSEN, "again": CHOSEN}
    assert browser.post(PAGE, form).status_code == 403
    shown = browser.get(PAGE, {"token": token}).content.decode()
    csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', shown)[1]  # type: ignore[index]
    assert browser.post(PAGE, form | {"csrfmiddlewaretoken": csrf}).status_code == 200


def test_the_iam_away_is_a_503_that_says_so(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("away")

    token = password_links.token_of(ann)
    monkeypatch.setattr(password_links, "user_of", away)
    for answer in (client().get(PAGE, {"token": token}), choose(token)):
        assert answer.status_code == 503


def test_redis_away_keeps_nobody_from_a_new_password(ann: User, settings: Any) -> None:
    settings.AUTH_CALLS_A_MINUTE, settings.REDIS_URL = 5, "redis://127.0.0.1:1/0"
    token = password_links.token_of(ann)
    assert choose("nonsense").status_code == 410
    assert choose(token).status_code == 200


def test_redis_away_reads_go_on(ann: User, settings: Any) -> None:
    """security.md: by THROTTLES_WITHOUT_REDIS (default: reads) reads go on and writes wait."""
    settings.AUTH_CALLS_A_MINUTE, settings.REDIS_URL = 5, "redis://127.0.0.1:1/0"
    assert client().get(PAGE, {"token": password_links.token_of(ann)}).status_code == 200


def test_a_tenant_that_was_reversed_while_the_form_is_open(world: World, acme: str, settings: Any) -> None:
    settings.AUTH_CALLS_A_MINUTE = 0
    guard.switch(on=True, by="tester")
    assert moved(acme).state == "done"
    user = User.objects.get(tenant_id=acme)
    token = password_links.token_of(user)
    assert client().get(PAGE, {"token": token}).status_code == 200
    assert moved(acme, "legacy").state == "done"
    assert choose(token).status_code == 409
    settings.LEGACY_SERVED_BY = "iam"  # the kill switch, with the guard still on
    assert choose(token).status_code == 503  # the guard refuses it: said in words


def test_a_reset_survives_the_way_back_to_legacy(world: World, acme: str, settings: Any) -> None:
    settings.AUTH_CALLS_A_MINUTE = 0
    guard.switch(on=True, by="tester")
    moved(acme)
    user = User.objects.get(tenant_id=acme)
    assert choose(password_links.token_of(user)).status_code == 200
    assert moved(acme, "legacy").state == "done"
    user.refresh_from_db()
    with world.legacy() as legacy:
        assert (
            legacy.execute("SELECT hashed_password FROM users WHERE id = %s", [str(user.pk)]).fetchone()[0]
            == user.hashed_password
        )


def test_somebody_without_a_user_name_is_not_called_none(api: Api) -> None:
    user = make_user(api.tenant, username=None, hashed_password=ODD)
    shown = client().get(PAGE, {"token": password_links.token_of(user)}).content.decode()
    assert 'value="None"' not in shown and str(user.email) in shown


def test_html_is_escaped(api: Api) -> None:
    Tenant.objects.filter(pk=api.tenant.pk).update(name="<script>alert(1)</script>")
    user = make_user(api.tenant, username='"><script>x', hashed_password=ODD)
    shown = client().get(PAGE, {"token": password_links.token_of(user)}).content.decode()
    assert "<script>" not in shown


def test_sessions_end(api: Api) -> None:
    user = make_user(api.tenant)
    signed_in = api.login(user).json()
    user.refresh_from_db()
    assert choose(password_links.token_of(user)).status_code == 200
    assert api.call("GET", "/me", signed_in["access_token"]).status_code == 401
    assert api.call("POST", "/auth/refresh", "", refresh_token=signed_in["refresh_token"]).status_code == 401


def test_who_was_locked_out_by_wrong_passwords_can_sign_in_with_the_new_one(api: Api, ann: User) -> None:
    for _ in range(throttles.FAILURES):
        api.login(ann, password="what I remember")
    assert choose(password_links.token_of(ann)).status_code == 200
    assert api.login(ann, password=CHOSEN).status_code == 200


def test_an_expired_password_is_not_chosen_again(api: Api) -> None:
    """The sign-in door refuses it: 'The new password is the old one.'"""
    user = make_user(api.tenant)
    password_links.use(password_links.token_of(user), CHOSEN)
    User.objects.filter(pk=user.pk).update(password_expires_at=timezone.now() - timedelta(days=1))
    assert api.login(user, password=CHOSEN, new_password=CHOSEN).status_code == 422
    user.refresh_from_db()
    assert choose(password_links.token_of(user), CHOSEN).status_code == 422


def test_a_user_who_misspells_thrice_is_not_throttled_in_production_settings(
    api: Api, ann: User, settings: Any
) -> None:
    settings.AUTH_CALLS_A_MINUTE = 5  # the default
    token, browser = password_links.token_of(ann), client()
    assert browser.get(PAGE, {"token": token}).status_code == 200
    for _ in range(3):
        assert browser.post(PAGE, {"token": token, "new_password": "short", "again": "short"}).status_code == 422
    assert browser.post(PAGE, {"token": token, "new_password": CHOSEN, "again": CHOSEN}).status_code == 200
    assert api.login(ann, password=CHOSEN).status_code == 200


def test_a_scanner_that_opens_links_locks_no_office_out(api: Api, settings: Any) -> None:
    settings.AUTH_CALLS_A_MINUTE = 5
    users = [make_user(api.tenant, hashed_password=ODD) for _ in range(6)]
    assert [client().get(PAGE, {"token": password_links.token_of(user)}).status_code for user in users] == [200] * 6


def test_a_second_factor_is_still_asked_for(api: Api, ann: User) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    assert choose(password_links.token_of(ann)).status_code == 200
    answer = api.login(ann, password=CHOSEN)
    assert answer.status_code in (200, 401)
    if answer.status_code == 200:
        assert api.call("PATCH", "/me", answer.json()["access_token"], bio="x").status_code == 401


def test_a_sign_in_asked_of_legacy_meanwhile_overwrites_nothing(
    api: Api, ann: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = password_links.token_of(ann)

    def knows(user: User, password: str) -> bool:
        if password == "the old one":
            password_links.use(token, CHOSEN)  # while legacy thinks
            return True
        return False

    monkeypatch.setattr(at_login, "knows", knows)
    assert api.login(ann, password="the old one").status_code == 401
    monkeypatch.undo()
    settings.AUTH_CALLS_A_MINUTE = 0
    assert User.objects.get(pk=ann.pk).has_password(CHOSEN)


def test_sign_in_with_half_a_surrogate_pair_in_the_new_password(api: Api) -> None:
    user = make_user(api.tenant, require_password_change=True)
    values = {"username": str(user.username), "password": "correct horse", "new_password": CHOSEN + "\\ud800"}
    body = (
        "".join(f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in values.items())
        + "--x--\r\n"
    )
    answer = client().generic(
        "POST", "/oauth/sign-in", body, content_type="multipart/form-data; boundary=x; charset=unicode_escape"
    )
    assert answer.status_code < 500


def test_a_tenant_without_a_name_is_not_called_none(api: Api, ann: User) -> None:
    Tenant.objects.filter(pk=api.tenant.pk).update(name=None)
    assert "At None" not in client().get(PAGE, {"token": password_links.token_of(ann)}).content.decode()


def test_after_a_lock_by_an_administrator_the_page_promises_nothing(api: Api, ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(account_locked_until=timezone.now() + timedelta(days=1))
    token = password_links.token_of(ann)
    assert choose(token).status_code != 200 or api.login(ann, password=CHOSEN).status_code == 200


def test_opening_the_form_waits_for_no_move(api: Api, ann: User) -> None:
    """A GET writes nothing."""
    import time

    TenantHome.objects.filter(tenant=str(api.tenant.pk)).update(held_until=timezone.now() + timedelta(seconds=4))
    began = time.monotonic()
    client().get(PAGE, {"token": password_links.token_of(ann)})
    assert time.monotonic() - began < 2


def test_browser_sessions_end(api: Api) -> None:
    user = make_user(api.tenant)
    browser = client()
    assert browser.post("/oauth/sign-in", {"username": user.username, "password": "correct horse"}).status_code == 302
    assert browser.get("/oauth/welcome").status_code == 200
    user.refresh_from_db()
    assert choose(password_links.token_of(user)).status_code == 200
    assert browser.get("/oauth/welcome").status_code == 302


@pytest.mark.parametrize("path", [PAGE, "/oauth/sign-in"])
def test_maintenance_says_so_as_a_page(ann: User, path: str) -> None:
    close_doors(by="otto", reason="x")
    maintenance.forget()
    try:
        answer = client().post(path, {"token": password_links.token_of(ann)})
        assert answer.status_code == 503 and answer["Retry-After"]
        assert "Closed for maintenance" in answer.content.decode()
    finally:
        maintenance.forget()


def test_sign_in_with_the_iam_away_is_said_in_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from iam import sign_in

    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("away")

    monkeypatch.setattr(sign_in, "candidates", away)
    answer = client().post("/oauth/sign-in", {"username": "ann", "password": "x"})
    assert answer.status_code == 503 and "cannot be checked now" in answer.content.decode()


def test_links_in_clear_are_no_deployment(settings: Any) -> None:
    settings.PUBLIC_URL = "http://portal.example.org"
    assert [each.id for each in password_links.links_in_clear()] == ["iam.E003"]
    settings.PUBLIC_URL = "https://portal.example.org"
    assert password_links.links_in_clear() == []
