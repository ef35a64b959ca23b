"""Inventory, comparison, completeness and pre-flight on real databases."""

from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from psycopg.sql import SQL, Identifier

from migration_portal.audit.models import Event
from migration_portal.inventory import asking
from migration_portal.inventory.compare import compare
from migration_portal.inventory.models import Inventory, Preflight
from migration_portal.inventory.text import as_text
from migration_portal.plan.errors import Refusal
from tests import builders
from tests.stack import SERVER, World, on_server, url_of


def preflight() -> dict:
    return asking.now("preflight", by="tester").content


def findings(severity: str) -> dict[str, str]:
    return {f["subject"]: f["what"] for f in preflight()["findings"] if f["severity"] == severity}


def test_an_inventory_counts_what_is_there(world: World) -> None:
    dirt = world.sample(users=500, tenants=10, rate=0.02)
    content = asking.now("inventory", by="tester").content
    assert content["tables"]["users"]["rows"] == 500
    assert content["users"]["total"] == 500
    # tenants that exist, and those that users name but that do not
    assert len(content["tenants"]) == 10 + dirt.each
    assert sum(tenant["users"] for tenant in content["tenants"]) == 500
    assert content["password_schemes"]["bcrypt, cost 12"] == 500 - dirt.each
    assert sum(content["password_schemes"].values()) == 500
    assert {column["name"] for column in content["tables"]["tenants"]["columns"]} >= {"id", "slug"}
    assert "=== TENANTS" in as_text("x", content)
    assert Event.objects.get().verb == "take_inventory"


def test_schema_drift_is_found(world: World) -> None:
    world.sample()
    before = asking.now("inventory", by="tester").content
    with world.legacy() as legacy:
        legacy.execute(
            "ALTER TABLE users ADD COLUMN nickname text; ALTER TABLE tenants ALTER COLUMN slug TYPE varchar(120)"
        )
        legacy.execute("CREATE TABLE more (id int)")
        legacy.execute("DELETE FROM licenses")
    changes = compare(before, asking.now("inventory", by="tester").content)
    assert [(c.subject, c.what) for c in changes if c.drift] == [
        ("more", "The table is new."),
        ("tenants.slug", "character varying(100) became character varying(120)."),
        ("users.nickname", "The column is new (text)."),
    ]
    assert ("licenses", "400 rows became 0.") in [(c.subject, c.what) for c in changes]


def test_preflight_foretells_exactly_what_a_run_sets_aside(world: World) -> None:
    dirt = world.sample(users=1200, tenants=12, rate=0.02)
    tables = {table["table"]: table for table in preflight()["completeness"]}
    for name, reasons in dirt.quarantined().items():
        assert tables[name]["total"] - tables[name]["mappable"] == sum(reasons.values()), name
    quality = {rule["rule"]: rule["count"] for rule in tables["users"]["quality"]}
    assert quality == dirt.quality()
    assert all(rule["sample"] for rule in tables["users"]["quality"])


def test_preflight_of_a_sound_pair_has_no_errors(world: World) -> None:
    world.sample()
    assert findings("error") == {}


def test_preflight_reports_a_plan_that_does_not_fit(world: World, tmp_path: Path, monkeypatch) -> None:
    world.sample()
    path = tmp_path / "plan.toml"
    path.write_text(Path(settings.MIGRATION_PLAN).read_text().replace('bio = "bio"', 'biography = "bio"', 1))
    monkeypatch.setattr(settings, "MIGRATION_PLAN", str(path))
    assert findings("error") == {"users.biography": "The plan fills a column that the IAM does not have."}


def test_preflight_reports_an_expression_that_fails(world: World, tmp_path: Path, monkeypatch) -> None:
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world), full_name="zero")
    path = tmp_path / "plan.toml"
    text = Path(settings.MIGRATION_PLAN).read_text()
    path.write_text(text.replace('full_name = "full_name"', 'full_name = "(1 / full_name::int)::text"', 1))
    monkeypatch.setattr(settings, "MIGRATION_PLAN", str(path))
    assert "invalid input syntax" in findings("warning")["users"]


def test_preflight_reports_schema_scripts_that_are_not_applied(world: World) -> None:
    world.sample()
    with world.iam() as iam:
        iam.execute("DROP SCHEMA portal_ledger CASCADE")
    assert "Not applied: 000_base" in findings("error")["IAM schema"]


def test_preflight_reports_missing_privileges(world: World, monkeypatch) -> None:
    world.sample()
    role = f"reader_{world.name}"
    on_server(SQL("CREATE ROLE {} LOGIN PASSWORD 'reader'").format(Identifier(role)))
    try:
        place = SERVER.split("@")[1].rsplit("/", 1)[0]
        monkeypatch.setattr(settings, "LEGACY_DATABASE_URL", f"postgres://{role}:reader@{place}/{world.name}_legacy")
        monkeypatch.setattr(settings, "IAM_DATABASE_URL", f"postgres://{role}:reader@{place}/{world.name}_iam")
        found = preflight()["findings"]
        assert any(f["severity"] == "error" and "permission denied" in f["what"] for f in found) or {
            "users", "tenants",
        } <= {f["subject"] for f in found if f["severity"] == "error"}  # fmt: skip
    finally:
        for name in ("legacy", "iam"):
            with psycopg.connect(url_of(f"{world.name}_{name}"), autocommit=True) as connection:
                connection.execute(SQL("DROP OWNED BY {}").format(Identifier(role)))
        on_server(SQL("DROP ROLE {}").format(Identifier(role)))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgres://portal:x@127.0.0.1:1/nowhere", "The server does not answer"),
        ("wrong password", "password authentication failed"),
        ("no such database", "does not exist"),
    ],
)
def test_an_unreachable_database_is_a_named_error(world: World, monkeypatch, url: str, message: str) -> None:
    place = SERVER.split("@")[1].rsplit("/", 1)[0]
    secret = SERVER.split("@")[0].rsplit(":", 1)[1]
    if url == "wrong password":
        url = f"postgres://portal:not-it@{place}/postgres"
    elif url == "no such database":
        url = SERVER.rsplit("/", 1)[0] + "/not_there"
    monkeypatch.setattr(settings, "LEGACY_DATABASE_URL", url)
    with pytest.raises(Refusal) as raised:
        asking.now("inventory", by="tester")
    assert "legacy database" in str(raised.value)
    assert message in str(raised.value)
    assert secret not in str(raised.value)
    assert Inventory.objects.get().error


def test_a_look_asked_for_is_taken_once(world: World) -> None:
    world.sample()
    record = asking.ask("preflight", by="tester")
    assert asking.unfinished() == [("preflight", record.pk)]
    asking.look("preflight", record.pk)
    first = Preflight.objects.get().finished_at
    asking.look("preflight", record.pk)
    assert Preflight.objects.get().finished_at == first
    assert asking.unfinished() == []
