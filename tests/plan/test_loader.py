import pytest

from config.settings import BASE_DIR
from migration_portal.plan.errors import PlanError
from migration_portal.plan.loader import load, parse

TABLE = '[[tables]]\nsource = "users"\ntarget = "people"\nkey = ["id"]\n[tables.columns]\nid = "id"\n'


def test_the_default_plan_loads_in_foreign_key_order() -> None:
    plan = load(BASE_DIR / "migration_portal/plan/plans/sigma_permit.toml")
    assert [table.target for table in plan.tables] == ["tenants", "tenant_settings", "users", "licenses", "user_roles"]


def test_a_secret_of_a_source_is_secret_to_every_table_that_reads_it() -> None:
    other = TABLE.replace("people", "roles").replace("[tables.columns]", 'secret = ["password"]\n[tables.columns]')
    assert parse(TABLE + other).table("people").secret == {"password"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tables = 3 =", "not valid TOML"),
        ("", "lists no tables"),
        (TABLE + "sorce = 1", "Unknown setting"),
        (TABLE.replace('key = ["id"]\n', ""), "'key' is missing"),
        (TABLE + "[tables.defaults]\nid = 1", "an expression and a default"),
        (TABLE + TABLE, "Filled more than once: people"),
        (TABLE.replace('id = "id"', 'id = ""'), "needs an SQL expression"),
        (TABLE.replace("[tables.columns]", 'lossy = ["name"]\n[tables.columns]'), "no reverse expression: name"),
        (TABLE.replace("[tables.columns]", 'tenant = "owner"\n[tables.columns]'), "tenant column owner is not mapped"),
    ],
)
def test_a_malformed_plan_is_refused_with_the_place(text: str, message: str) -> None:
    if "sorce" in text:
        text = TABLE.replace("source", "sorce")
        message = "Unknown setting: sorce"
    with pytest.raises(PlanError, match=message):
        parse(text, name="mine.toml")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(PlanError, match="/nowhere/plan.toml"):
        load("/nowhere/plan.toml")
