"""From an export to people who sign in: import, draft, dry run, run, cut-over, log-in."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from migration_portal.cutover.tenants import sync_tenants
from migration_portal.drafting.draft import draft_now
from migration_portal.runs.report import report
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.world import World

EXPORTS = Path(__file__).parent / "exports"
SIGNER_KEY = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="


def _import(*arguments: str) -> str:
    out = StringIO()
    call_command("portal", "import_legacy", *arguments, stdout=out)
    return out.getvalue()


def _migrated(world: World, settings: Any, tmp_path: Path, *decided: tuple[str, str]) -> str:
    """Draft, decide, dry run, run, cut over. Returns the tenant."""
    text = draft_now("imported", source_schema="imported").text
    for old, new in decided:
        assert old in text, text
        text = text.replace(old, new)
    text = re.sub(r"^# (ignored = )", r"\1", text, flags=re.MULTILINE)  # nobody comes back, on purpose
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text)
    dry = report(builders.migrated(world, dry_run=True))
    assert dry.passed and not dry.tables["users"].reasons, dry
    assert report(builders.migrated(world, capture=True)).passed
    sync_tenants()
    both_loops()
    return text


def _signs_in(settings: Any, name: str, password: str) -> int:
    settings.AUTH_CALLS_A_MINUTE = 0
    body = json.dumps({"username": name, "password": password})
    return Client().post("/api/v1/auth/login", body, content_type="application/json").status_code


def test_people_of_firebase_sign_in_with_the_password_they_had(world: World, settings: Any, tmp_path: Path) -> None:
    settings.FIREBASE_SIGNER_KEY = SIGNER_KEY
    assert "firebase" in _import(str(EXPORTS / "firebase.json"))
    _migrated(world, settings, tmp_path)
    found = iam(world, "SELECT email, is_active, email_verified, created_at::date::text FROM users ORDER BY email")
    assert found == [("user1@example.org", True, True, "2020-09-13"), ("user2@example.org", False, False, "2020-09-13")]
    [(tenant,)] = iam(world, "SELECT id::text FROM tenants")
    assert moved(tenant).error == ""
    assert _signs_in(settings, "user1@example.org", "user1password") == 200
    assert _signs_in(settings, "user1@example.org", "another") == 401
    assert _signs_in(settings, "user2@example.org", "user1password") == 401, "disabled there"


def test_people_of_auth0_sign_in_with_the_password_they_had(world: World, settings: Any, tmp_path: Path) -> None:
    _import(str(EXPORTS / "auth0.jsonl"))
    one = "5f0c0000-0000-4000-8000-000000000001"
    row = f"""[[rows]]\ntarget = "tenants"\n[rows.columns]\nid = "'{one}'"\nname = "'Acme'"\nslug = "'acme'"\n\n[[tables]]"""
    _migrated(
        world,
        settings,
        tmp_path,
        ("md5(tenant)::uuid", f"CASE tenant WHEN 'acme' THEN '{one}'::uuid END"),
        ("[[tables]]", row),
    )
    assert moved(one).error == ""
    assert _signs_in(settings, "ann@example.org", "auth0 password") == 200


def test_people_of_keycloak_sign_in_with_the_password_they_had(world: World, settings: Any, tmp_path: Path) -> None:
    _import(str(EXPORTS / "keycloak-realm.json"))
    left = ["attributes", "totp", "disableableCredentialTypes", "requiredActions", "realmRoles", "notBefore", "groups"]
    nobody_returns = (
        f"ignored = {json.dumps([*left, 'credentials'])}\nlossy = {json.dumps(['firstName', 'lastName'])}\nsecret ="
    )
    plan = _migrated(
        world, settings, tmp_path, (f"# Mapped nowhere: {', '.join(left)}.", "#"), ("secret =", nobody_returns)
    )
    found = iam(
        world, "SELECT username, full_name, is_active, email_verified, created_at::date::text FROM users ORDER BY 1"
    )
    assert found == [
        ("ann", "Ann Lee", True, True, "2023-11-14"),
        ("bob", "Bob Ray", True, False, "2023-11-14"),
        ("cyd", "", False, True, "2023-11-14"),
    ], plan
    [(tenant,)] = iam(world, "SELECT id::text FROM tenants")
    assert moved(tenant).error == ""
    assert _signs_in(settings, "ann@example.org", "keycloak password") == 200, "PBKDF2, after a one-time code's secret"
    assert _signs_in(settings, "bob@example.org", "argon password") == 200
    assert _signs_in(settings, "bob@example.org", "keycloak password") == 401
    assert _signs_in(settings, "cyd@example.org", "!") == 401


def test_an_import_needs_a_database_of_its_own(world: World, tmp_path: Path) -> None:
    builders.legacy_tables(world)
    with pytest.raises(CommandError, match="an import needs a database of its own"):
        _import(str(EXPORTS / "auth0.jsonl"))
    assert legacy(world, "SELECT to_regnamespace('imported') IS NULL") == [(True,)]


def test_an_import_is_made_anew_only_when_asked(world: World, tmp_path: Path) -> None:
    _import(str(EXPORTS / "auth0.jsonl"))
    with pytest.raises(CommandError, match="It holds an import already"):
        _import(str(EXPORTS / "auth0.jsonl"))
    assert "2 rows" in _import(str(EXPORTS / "firebase.json"), "--replace")
    assert legacy(world, "SELECT to_regclass('imported.auth0') IS NULL") == [(True,)]


def test_an_import_that_a_run_captures_is_not_taken_away(world: World, settings: Any, tmp_path: Path) -> None:
    _import(str(EXPORTS / "firebase.json"))
    _migrated(world, settings, tmp_path)
    with pytest.raises(CommandError, match="A run captures its changes"):
        _import(str(EXPORTS / "firebase.json"), "--replace")


def test_a_file_that_breaks_in_its_middle_loads_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "u.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    (tmp_path / "v.csv").write_text("id,n\n1,2\n1\n")
    with pytest.raises(CommandError, match="line 3"):
        _import(str(tmp_path / "u.jsonl"), str(tmp_path / "v.csv"))
    assert legacy(world, "SELECT to_regnamespace('imported') IS NULL") == [(True,)]


def test_what_is_next_is_said(world: World) -> None:
    told = _import(str(EXPORTS / "auth0.jsonl"))
    assert "draft_plan PLAN.toml --source-schema imported" in told and "are not seen from now on" in told
