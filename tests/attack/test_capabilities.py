"""What strangers found in capabilities: decisions that a derivation overwrote, values that widened, tokens past a limit."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from typing import Any

import bcrypt
import pyotp
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from django.db import connections
from django.test import Client
from psycopg.sql import SQL

from iam import bearers, capabilities
from iam.models import TenantSettings
from migration_portal.audit.models import Event
from migration_portal.capabilities import derive, edit
from migration_portal.engine import capabilities as engine
from migration_portal.refusal import Refusal
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.engine.capable import TTLS, capability, features, iam_change, snapshot
from tests.engine.changes import change, iam
from tests.iam.capable import off, own, system
from tests.iam.conftest import Api
from tests.iam.conftest import api as api
from tests.iam.enrolling import with_codes
from tests.iam.oauth.conftest import CALLBACK, Site, make_client
from tests.iam.oauth.conftest import oauth as oauth
from tests.legacy_compat.conftest import PASSWORD, make_user
from tests.world import World

# Decisions


def decided(home: str, key: str = "mfa", *, enabled: bool = False, value: str = "") -> None:
    edit.edit_tenants([home], key, enabled=enabled, value=value, by="otto", reason="decided")


def was_there(world: World) -> str:
    """A tenant whose settings want MFA, and that the IAM has already."""
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True, **TTLS)
    iam_change(world, "INSERT INTO tenants (id, name, slug) VALUES (%s, 'Was there', %s)", home, home)
    return home


def test_what_was_decided_before_the_first_run_stays(world: World) -> None:
    home = was_there(world)
    decided(home)
    builders.migrated(world)
    assert capability(world, home, "mfa") == (False, None)


def test_what_is_decided_about_a_row_that_a_run_found_stays(world: World) -> None:
    home = was_there(world)
    decided(home, enabled=True)
    builders.migrated(world)
    decided(home)
    derive.derive(by="otto")
    assert capability(world, home, "mfa") == (False, None)
    builders.migrated(world)
    assert capability(world, home, "mfa") == (False, None)


def test_a_value_that_was_cleared_stays_cleared(world: World) -> None:
    home = was_there(world)
    decided(home, "max_token_ttl", enabled=True, value='{"max_access_token_ttl_minutes": 30}')
    builders.migrated(world)
    decided(home, "max_token_ttl", enabled=True)
    derive.derive(by="otto")
    assert capability(world, home, "max_token_ttl") == (True, None)


def test_an_edit_while_rows_are_derived_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True, **TTLS)
    builders.migrated(world)
    iam_change(world, "UPDATE tenant_settings SET access_token_ttl_minutes = 99")
    before, edited = engine.ledger.record_commit, threading.Event()

    def meanwhile(target: Any, run: Any, table: str) -> Any:
        if table == "tenant_capabilities" and not edited.is_set():
            edited.set()
            iam_change(
                world,
                "UPDATE tenant_capabilities SET value = '{\"max_access_token_ttl_minutes\": 5}', decided_by = 'otto'"
                " WHERE tenant_id = %s AND capability_key = 'max_token_ttl'",
                home,
            )
        return before(target, run, table)

    monkeypatch.setattr(engine.ledger, "record_commit", meanwhile)
    with open_transfer(derive.latest(), "capabilities") as transfer, transfer.target.transaction():
        table = next(each for each in engine.prepared(transfer) if each.target == "tenant_capabilities")
        engine.grant(transfer, table, SQL("true"), transfer.in_iam)
    assert edited.is_set()
    assert capability(world, home, "max_token_ttl") == (True, {"max_access_token_ttl_minutes": 5})


def test_everything_is_taken_back_whichever_run_wrote_it(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True, **TTLS)
    builders.user(world, home, mfa_enabled=True)
    builders.migrated(world)
    builders.migrated(world)
    assert set(derive.undo(by="otto", reason="back").values()) == {0}
    left = snapshot(world)
    assert [left[name] for name in ("tenant_capabilities", "tenant_feature_enablement", "user_capability_state")] == [
        [], [], [],
    ]  # fmt: skip


def test_what_an_administrator_decides_is_no_difference(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True, **TTLS)
    run = builders.migrated(world)
    decided(home)
    assert features(world, home) == []
    edit.edit_system("saml", enabled=True, value="", by="otto", reason="new")
    assert capability(world, home, "saml") == (True, None)
    verify(run, by="otto")
    assert report(builders.finish(run)).passed


def test_a_change_of_many_names_each_and_what_it_had_and_keeps_its_value(world: World) -> None:
    builders.legacy_tables(world)
    homes = [builders.tenant(world) for _ in range(3)]
    for home in homes:
        builders.settings_of(world, home, **TTLS)
    builders.migrated(world)
    edit.edit_tenants(homes, "max_token_ttl", enabled=False, value=None, by="otto", reason="off")
    events = Event.objects.filter(verb="change_tenant_capability")
    assert {event.object_id for event in events} == set(homes)
    assert all(event.data["from"].startswith("on {") for event in events)
    found = capability(world, homes[0], "max_token_ttl")
    assert found and found[0] is False and found[1]["max_access_token_ttl_minutes"] == 30


def test_an_unknown_filter_changes_nobody(world: World) -> None:
    builders.legacy_tables(world)
    builders.tenant(world)
    builders.migrated(world)
    builders.member("operator", username="otto")
    client = Client()
    client.login(username="otto", password="secret-pass-1")
    client.post("/admin/capabilities/of/mfa/tenants/?state=zzz", {"all": "yes", "reason": "x"})
    assert not iam(world, "SELECT FROM tenant_capabilities WHERE capability_key = 'mfa' AND NOT enabled")


# Values


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_token_ttl", {"value": "banana"}), ("max_token_ttl", {"value": "-5m"}), ("max_token_ttl", {"value": 0}),
        ("max_token_ttl", {"valeu": "1m"}), ("max_token_ttl", {"max_access_token_ttl_minutes": True}),
        ("max_token_ttl", {"max_access_token_ttl_minutes": 0}), ("max_token_ttl", {"remember_me_enabled": 1}),
        ("allowed_grant_types", {"value": "authorization_code"}), ("allowed_grant_types", {"value": ["password"]}),
        ("allowed_grant_types", {"values": ["authorization_code"]}), ("allowed_scope_namespaces", {"value": [1]}),
        ("pkce_mandatory", {"value": "no"}), ("mfa", {"value": True}),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_shape_is_refused(world: World, key: str, value: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        edit.edit_system(key, enabled=True, value=json.dumps(value), by="otto", reason="a slip")


def client_credentials(oauth: Site) -> Any:
    asked = {"grant_type": "client_credentials", "scope": "users:read"}
    return requests.post(f"{oauth.url}/oauth/token", asked, auth=(oauth.client.client_id, oauth.secret), timeout=20)


@pytest.mark.parametrize(
    "value", [{"value": ["client_credentials"]}, {"value": "client_credentials"}, {}, {"values": []}]
)
def test_a_tenant_is_never_wider_than_the_system(oauth: Site, value: dict[str, Any]) -> None:
    assert client_credentials(oauth).status_code == 200
    system("allowed_grant_types", default_value={"value": ["authorization_code"]})
    own(oauth.tenant, "allowed_grant_types", value=value)
    assert client_credentials(oauth).status_code == 400


def test_a_lifetime_that_is_none_is_the_models(world: World, api: Api) -> None:
    system("max_token_ttl", default_value={"value": "5 minutes"})
    longest = capabilities.of(api.tenant.pk).longest("access")
    assert longest is not None and longest.total_seconds() == 900


def test_a_client_of_a_tenant_that_is_off_gets_no_token_and_has_none(oauth: Site) -> None:
    token = client_credentials(oauth).json()["access_token"]

    def active() -> bool:
        asked = requests.post(
            f"{oauth.url}/oauth/introspect", {"token": token}, auth=(oauth.client.client_id, oauth.secret), timeout=20
        )
        return bool(asked.json()["active"])

    assert active()
    oauth.tenant.is_active = False
    oauth.tenant.save()
    assert client_credentials(oauth).status_code == 400
    assert not active()


def test_pkce_is_mandatory_for_users_of_the_tenant_at_any_client(oauth: Site) -> None:
    client, secret = make_client(None)
    system("pkce_mandatory", default_value={"value": False})
    own(oauth.tenant, "pkce_mandatory", value={"value": True})
    asking = OAuth2Session(client.client_id, secret, scope="profile", redirect_uri=CALLBACK)
    url, _ = asking.create_authorization_url(f"{oauth.url}/oauth/authorize")
    back = oauth.allow(oauth.browser(), url)
    with pytest.raises(Exception, match="invalid_grant|invalid"):
        asking.fetch_token(f"{oauth.url}/oauth/token", authorization_response=back)


# Doors


def test_a_legacy_refresh_token_is_capped_at_the_new_door_too(api: Api) -> None:
    own(api.tenant, "max_token_ttl", value={"max_access_token_ttl_minutes": 4})
    sent = {"username": api.admin.username, "password": PASSWORD}
    pair = api.client.post("/api/auth/login", sent).json()
    new = api.call("POST", "/auth/refresh", "", refresh_token=pair["refresh_token"]).json()
    assert bearers.decode(new["access_token"], kind="access")["exp"] - time.time() <= 241


def test_nobody_confirms_a_secret_that_another_session_began(api: Api, settings: Any) -> None:
    settings.MFA_SECRET_KEY = base64.b64encode(os.urandom(32)).decode()
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user = make_user(api.tenant)
    token = api.login(user).json()["access_token"]
    planted = api.call("POST", "/me/mfa", token, current_password=PASSWORD).json()["secret"]
    victim = Client()
    victim.post("/oauth/sign-in", {"username": user.username, "password": PASSWORD})
    assert planted not in victim.get("/oauth/second-factor").content.decode()
    victim.post("/oauth/second-factor", {"code": pyotp.TOTP(planted).now()})
    user.refresh_from_db()
    assert not user.mfa_enabled


def test_a_password_that_ends_in_six_digits_is_no_wrong_one(api: Api, settings: Any) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    hashed = bcrypt.hashpw(b"horse2026123", bcrypt.gensalt(4)).decode()
    user, code = with_codes(settings, api.tenant, hashed_password=hashed)
    for _ in range(11):
        refused = api.client.post("/api/auth/login", {"username": user.username, "password": "horse2026123"})
        assert (refused.status_code, "requires multi-factor" in refused.json()["detail"]) == (403, True)
    sent = {"username": user.username, "password": f"horse2026123{code.now()}"}
    assert api.client.post("/api/auth/login", sent).status_code == 200


def test_where_codes_are_off_nobody_is_sent_to_enrol(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user = make_user(api.tenant)
    off(api.tenant, "totp", "tenant")
    refused = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD})
    assert refused.status_code == 403 and "enrol" not in refused.json()["detail"]


def test_a_password_may_expire_in_a_million_years(api: Api) -> None:
    TenantSettings.objects.create(
        tenant=api.tenant, password_expiry_days=2147483647, min_password_length=8, require_uppercase=False,
        require_lowercase=False, require_numbers=False, require_special_chars=False,
    )  # fmt: skip
    done = api.call("POST", "/me/password", current_password=PASSWORD, new_password="Quite another 9!")
    assert done.status_code == 204


@pytest.mark.parametrize("setting", ["DateStyle = 'German'", "DateStyle = 'SQL, DMY'", "search_path = ''",
                                     "default_transaction_isolation = 'serializable'"])  # fmt: skip
def test_what_a_database_sets_breaks_no_sign_in(world: World, api: Api, setting: str) -> None:
    with world.iam() as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET {setting}')
    connections.close_all()
    assert api.login().status_code == 200
    connections.close_all()


@pytest.mark.parametrize("setting", ["DateStyle = 'German'", "default_transaction_isolation = 'serializable'",
                                     "default_transaction_read_only = on"])  # fmt: skip
def test_what_the_portals_database_sets_breaks_no_console(world: World, setting: str) -> None:
    builders.member("operator", username="otto")
    with world.portal() as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET {setting}')
    connections.close_all()
    client = Client()
    assert client.login(username="otto", password="secret-pass-1")
    assert client.get("/admin/audit/event/").status_code == 200
    connections.close_all()


def test_a_change_in_legacy_is_followed_until_somebody_decides(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=False, **TTLS)
    builders.migrated(world)
    change(world, "UPDATE tenant_settings SET access_token_ttl_minutes = 99")
    decided(home, "max_token_ttl", enabled=True, value='{"value": "5m"}')
    builders.migrated(world)
    assert capability(world, home, "max_token_ttl") == (True, {"value": "5m"})


def test_an_edit_needs_no_legacy(world: World, settings: Any) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.migrated(world)
    settings.LEGACY_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    decided(home)
    assert capability(world, home, "mfa") == (False, None)
