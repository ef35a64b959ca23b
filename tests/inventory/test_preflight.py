"""Pre-flight: what it reports, and what to do about it."""

from pathlib import Path

import psycopg
from django.conf import settings
from psycopg.sql import SQL, Identifier

from tests import builders
from tests.inventory.findings import preflight
from tests.servers import SERVER, on_server, url_of
from tests.world import World


def findings(severity: str) -> dict[str, str]:
    return {f["subject"]: f["what"] for f in preflight()["findings"] if f["severity"] == severity}


def test_preflight_of_a_sound_pair_has_no_errors(world: World) -> None:
    world.sample()
    assert findings("error") == {}


def test_only_triggers_that_are_not_the_iams_own_are_warned_of(world: World) -> None:
    world.sample()
    assert "users" not in findings("warning")
    with world.iam() as iam:
        iam.execute(
            "CREATE FUNCTION mail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER mail AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION mail()"
        )
    assert findings("warning")["users"] == "Its triggers fire for every row that is copied: mail."


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
