from migration_portal.plan import lookups
from migration_portal.plan.loader import parse
from migration_portal.plan.model import Lookup

TEXT = """
[[tables]]
source = "grants"
target = "user_roles"
key = ["person", "role"]
[tables.columns]
user_id = "person"
role_id = { lookup = "roles", by = "name", value = "lower(role)", words = { boss = "admin", chief = "admin" } }
[tables.reverse]
person = "user_id"
role = { lookup = "roles", by = "name", value = "role_id", words = { boss = "admin", chief = "admin" } }
"""
FOUND = {"roles.name": {"admin": "1", "o'user": "2"}}


def test_a_key_is_found_by_the_iams_word_and_by_each_of_legacys() -> None:
    [table] = lookups.resolved(parse(TEXT), FOUND).tables
    pairs = '{"boss": "1", "chief": "1", "admin": "1", "o\'\'user": "2"}'
    assert table.column("role_id").sql == f"('{pairs}'::jsonb ->> (lower(role))::text)"  # type: ignore[union-attr]


def test_on_the_way_back_the_first_of_legacys_words_counts() -> None:
    [table] = lookups.resolved(parse(TEXT), FOUND).tables
    assert table.reverse[1].sql == """('{"1": "boss", "2": "o''user"}'::jsonb ->> (role_id)::text)"""


def test_what_has_no_word_fails_on_the_way_back_unless_it_is_part_of_the_key() -> None:
    [table] = lookups.resolved(parse(TEXT.replace('key = ["person", "role"]', 'key = ["person"]')), FOUND).tables
    assert "Legacy has no word for " in table.reverse[1].sql


def test_a_word_that_is_listed_means_nothing_else() -> None:
    lookup = Lookup("roles", "name", "role", words=(("user", "member"), ("boss", "admin")))
    assert '"user"' not in lookups.there(lookup, {"user": "1", "admin": "2"})
    assert lookups.without_word(lookup, {"user": "1", "admin": "2"}) == ["user"]
    assert lookups.without_word(lookup, {"user": "1", "member": "3", "admin": "2", "boss": "4"}) == ["user", "boss"]


def test_rows_that_are_not_found_are_rejected_by_a_rule_that_says_what_to_do() -> None:
    [rule] = lookups.resolved(parse(TEXT), FOUND).tables[0].reject
    assert rule.name == "role_id_not_found" and "add it there" in rule.advice
    assert rule.sql.startswith("(lower(role)) IS NOT NULL AND ") and '"boss"' in rule.sql
    assert rule.written == "lower(role) is not in the IAM's roles.name"


def test_nothing_is_found_before_somebody_has_looked() -> None:
    assert "'{}'::jsonb" in parse(TEXT).tables[0].columns[1].sql


def test_a_look_up_is_shown_as_it_was_written() -> None:
    [table] = lookups.resolved(parse(TEXT), FOUND).tables
    assert table.columns[1].written == (
        '{ lookup = "roles", by = "name", value = "lower(role)", words = { "boss" = "admin", "chief" = "admin" } }'
    )
