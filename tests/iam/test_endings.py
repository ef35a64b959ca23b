"""What ends with a password or an account: every kind of session, at every door, whoever makes the change."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.test import Client
from django.utils import timezone
from joserfc import jwt

from iam import bearers, forms, passwords, removal, tokens
from iam.forms import BadToken
from iam.models import Session, User
from iam.oauth.models import AccessToken, RefreshToken, digest
from tests.iam.conftest import Api
from tests.iam.oauth.conftest import make_client, switch_on
from tests.legacy_compat.conftest import PASSWORD, make_user
from tests.world import World

NEW = "another long password"


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@dataclass
class Held:
    """A user with a session of every kind, and how to ask whether each is good."""

    api: Api
    user: User
    own: dict[str, Any]
    old: dict[str, Any]
    browser: Client
    client: Any
    secret: str

    def good(self) -> dict[str, bool]:
        """Refreshing spends a token: this is asked once."""
        api, old = self.api, self.api.client
        basic = {"client_id": self.client.client_id, "client_secret": self.secret}
        again = {"grant_type": "refresh_token", "refresh_token": "oauth-refresh"}
        return {
            "access": api.call("GET", "/me", self.own["access_token"]).status_code == 200,
            "refresh": api.call("POST", "/auth/refresh", "", refresh_token=self.own["refresh_token"]).status_code
            == 200,
            "old access": old.get("/api/auth/me", headers=bearer(self.old["access_token"])).status_code == 200,
            "old refresh": refreshed(old, self.kept(self.old["refresh_token"])),
            "legacy's access": old.get("/api/auth/me", headers=bearer(self.of_legacy())).status_code == 200,
            "legacy's refresh": refreshed(old, self.kept(self.of_legacy(type="refresh"))),
            "browser": self.browser.get("/oauth/welcome").status_code == 200,
            "client's access": api.call("GET", "/me", "oauth-access").status_code == 200,
            "client's refresh": old.post("/oauth/token", basic | again, secure=True).status_code == 200,
        }

    def kept(self, token: str) -> str:
        """As if it were the last that this user was given: what ends it then is not that."""
        User.objects.filter(pk=self.user.pk).update(refresh_token=token)
        return token

    def of_legacy(self, **more: Any) -> str:
        """Issued by the legacy system a minute ago: it has no session here."""
        life = bearers.LEGACY_REFRESH if more.get("type") else bearers.LEGACY_ACCESS
        claims = {
            "sub": self.user.username, "user_id": str(self.user.pk), "tenant_id": str(self.user.tenant_id),
            "exp": int(time.time() - 60 + life.total_seconds()), **more,
        }  # fmt: skip
        key = forms.legacy_key(django_settings.LEGACY_JWT_SECRET)
        return jwt.encode({"alg": "HS256"}, claims, key, ["HS256"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refreshed(client: Client, token: str) -> bool:
    return bool(client.post("/api/auth/refresh", {"refresh_token": token}).status_code == 200)


@pytest.fixture
def held(api: Api) -> Held:
    switch_on("oauth2_enabled")
    user = make_user(api.tenant)
    browser = Client()
    assert browser.post("/oauth/sign-in", {"username": user.username, "password": PASSWORD}).status_code == 302
    client, secret = make_client(api.tenant)
    family, ends = uuid.uuid4(), timezone.now() + timedelta(minutes=15)
    about: Any = {"client": client, "user": user, "authorization_id": family, "expires_at": ends}
    access = AccessToken.objects.create(token=digest("oauth-access"), scope="profile:read", **about)
    RefreshToken.objects.create(token=digest("oauth-refresh"), scope="profile:read", access_token=access, **about)
    own = api.login(user).json()
    old = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).json()
    return Held(api, user, own, old, browser, client, secret)


def test_every_kind_is_good_before(held: Held) -> None:
    assert all(held.good().values()), held.good()


def sql(statement: str, user: User) -> None:
    with connections["iam"].cursor() as cursor:
        cursor.execute(statement, [str(user.pk)])


def by_the_user(held: Held) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert held.api.call("POST", "/me/password", held.own["access_token"], **body).status_code == 204


def at_the_old_door(held: Held) -> None:
    """With tokens of another sign-in: who changes it there goes on."""
    other = held.api.client.post("/api/auth/login", {"username": held.user.username, "password": PASSWORD}).json()
    body = {"current_password": PASSWORD, "new_password": NEW}
    answer = held.api.client.post("/api/auth/change-password", body, headers=bearer(other["access_token"]))
    assert answer.status_code == 200


def by_an_administrator(held: Held) -> None:
    assert held.api.call("PATCH", f"/users/{held.user.pk}", password=NEW).status_code == 200


def with_one_that_was_due(held: Held) -> None:
    User.objects.filter(pk=held.user.pk).update(require_password_change=True)
    assert held.api.login(held.user, new_password=NEW).status_code == 200


def off(held: Held) -> None:
    assert held.api.call("DELETE", f"/users/{held.user.pk}").status_code == 204


def off_and_on(held: Held) -> None:
    off(held)
    assert held.api.call("PATCH", f"/users/{held.user.pk}", is_active=True).status_code == 200


def off_and_on_by_sql(held: Held) -> None:
    sql("UPDATE users SET is_active = NULL WHERE id = %s", held.user)
    sql("UPDATE users SET is_active = true WHERE id = %s", held.user)


def password_by_sql(held: Held) -> None:
    sql("UPDATE users SET hashed_password = 'x' || hashed_password WHERE id = %s", held.user)


EVENTS: list[Callable[[Held], None]] = [
    by_the_user, at_the_old_door, by_an_administrator, with_one_that_was_due, off, off_and_on, off_and_on_by_sql,
    password_by_sql,
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_kind_ends_at_every_door(held: Held, event: Callable[[Held], None]) -> None:
    event(held)
    assert not any(held.good().values()), held.good()


def test_a_tenant_that_is_off_lets_nobody_on(held: Held) -> None:
    with connections["iam"].cursor() as cursor:
        cursor.execute("UPDATE tenants SET is_active = false WHERE id = %s", [str(held.user.tenant_id)])
    good = held.good()
    assert not any(good.values()), good


def test_a_hash_made_anew_of_the_same_password_ends_nothing(held: Held) -> None:
    from flags.models import TenantHome

    TenantHome.objects.filter(pk=str(held.user.tenant_id)).update(final=True)
    assert held.api.login(held.user).status_code == 200
    assert User.objects.get(pk=held.user.pk).hashed_password.startswith("$argon2id$")
    assert all(held.good().values())


def test_what_catch_up_brings_ends_sessions_and_holds_nobody_back(held: Held) -> None:
    other = make_user(held.api.tenant)
    with connections["iam"].cursor() as cursor:
        cursor.execute("SET LOCAL portal.applying = 'on'")
        sql("UPDATE users SET is_active = false WHERE id = %s", held.user)
        sql("UPDATE users SET is_active = false WHERE id = %s", other)
        cursor.execute("SET LOCAL portal.applying = ''")
    assert not Session.objects.filter(user=held.user, is_active=True).exists()
    assert not Session.objects.filter(user=other).exists()  # a row of ours would refer to the user, and keep it
    removal.remove(other)


def test_what_catch_up_brings_late_ends_no_token_that_legacy_issued_since(held: Held) -> None:
    newer = held.of_legacy()
    with connections["iam"].cursor() as cursor:
        cursor.execute("SET LOCAL portal.applying = 'on'")
        sql("UPDATE users SET hashed_password = 'x' || hashed_password WHERE id = %s", held.user)
        cursor.execute("SET LOCAL portal.applying = ''")
    assert held.api.client.get("/api/auth/me", headers=bearer(newer)).status_code == 200


def test_an_account_whose_sessions_have_ended_can_be_removed_by_catch_up(held: Held) -> None:
    other = make_user(held.api.tenant)
    sql("UPDATE users SET is_active = false WHERE id = %s", other)
    sql("DELETE FROM users WHERE id = %s", other)
    assert not User.objects.filter(pk=other.pk).exists()


def test_oauth_switched_off_stops_the_tokens_that_clients_have(held: Held) -> None:
    from flags.evaluate import definitions
    from flags.models import Flag

    Flag.objects.filter(name="oauth2_enabled").update(killed=True)
    definitions(fresh=True)
    good = held.good()
    assert [kind for kind, still in good.items() if not still] == ["client's access", "client's refresh"]
    headers = bearer("oauth-access")
    assert held.api.client.get("/oauth/userinfo", headers=headers).status_code == 401


def test_a_session_past_its_end_is_not_refreshed(held: Held) -> None:
    Session.objects.filter(user=held.user).update(expires_at=timezone.now())
    good = held.good()
    assert not good["refresh"] and not good["old refresh"] and not good["browser"]


def test_a_session_that_ends_while_it_is_refreshed_is_not_refreshed(held: Held) -> None:
    with pytest.raises(BadToken):
        tokens.refresh(
            held.own["refresh_token"], ip=None, agent="",
            admit=lambda bearer: Session.objects.filter(user=bearer.user).update(is_active=False),
        )  # fmt: skip


def test_refreshing_does_not_make_a_session_of_ours_longer(held: Held) -> None:
    session = Session.objects.get(session_id=bearers.decode(held.own["access_token"], kind="access")["sid"])
    Session.objects.filter(pk=session.pk).update(expires_at=timezone.now() + timedelta(minutes=3))
    pair = held.api.call("POST", "/auth/refresh", "", refresh_token=held.own["refresh_token"]).json()
    assert pair["expires_in"] <= 180
    assert bearers.decode(pair["refresh_token"], kind="refresh")["exp"] <= time.time() + 181


def test_who_changes_the_password_at_the_old_door_goes_on_and_nobody_else(held: Held) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    held.api.client.post("/api/auth/change-password", body, headers=bearer(held.old["access_token"]))
    assert {kind for kind, good in held.good().items() if good} == {"old access", "old refresh"}


def test_who_changes_it_with_a_token_of_legacys_goes_on_and_nobody_else(held: Held) -> None:
    mine, again = held.of_legacy(), held.of_legacy(type="refresh")
    theirs = held.of_legacy(exp=int(time.time()) + 300)
    body = {"current_password": PASSWORD, "new_password": NEW}
    held.api.client.post("/api/auth/change-password", body, headers=bearer(mine))
    old = held.api.client
    assert old.get("/api/auth/me", headers=bearer(theirs)).status_code == 401
    assert old.get("/api/auth/me", headers=bearer(mine)).status_code == 200
    assert refreshed(old, held.kept(again))


def test_an_old_clients_refresh_tokens_live_seven_days_each(held: Held) -> None:
    sid = bearers.decode(held.old["access_token"], kind="access")["sid"]
    Session.objects.filter(session_id=sid).update(expires_at=timezone.now() + timedelta(days=1))
    assert refreshed(held.api.client, held.old["refresh_token"])
    assert Session.objects.get(session_id=sid).expires_at > timezone.now() + timedelta(days=6, hours=23)


def test_signing_out_of_a_browser_ends_its_session(held: Held) -> None:
    assert held.browser.post("/oauth/sign-out").status_code == 302
    assert held.browser.get("/oauth/welcome").status_code == 302
    assert Session.objects.filter(user=held.user, is_active=True).count() == 2


def test_a_wrong_hash_is_no_reason(held: Held) -> None:
    User.objects.filter(pk=held.user.pk).update(
        full_name="X", hashed_password=User.objects.get(pk=held.user.pk).hashed_password
    )
    assert all(held.good().values())
    assert passwords.verify(PASSWORD, User.objects.get(pk=held.user.pk).hashed_password)
