"""Names that mean the same."""

from __future__ import annotations

import pytest

from migration_portal.drafting import names


@pytest.mark.parametrize(
    ("source", "target", "table"),
    [
        ("mail", "email", ""), ("user_email", "email", "users"), ("eMail", "email", ""), ("passwd", "hashed_password", ""),
        ("createdAt", "created_at", ""), ("creation_date", "created_at", ""), ("orgId", "tenant_id", ""), ("login", "username", ""),
        ("is_enabled", "is_active", ""), ("displayName", "full_name", ""), ("mobile_no", "mobile_no", ""),
    ],
)  # fmt: skip
def test_columns_of_one_meaning_are_alike(source: str, target: str, table: str) -> None:
    assert names.columns(source, target, table) >= names.CONCEPT


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("email", "username"),
        ("created_at", "updated_at"),
        ("id", "tenant_id"),
        ("first_name", "last_name"),
        ("bio", "timezone"),
    ],
)
def test_columns_of_other_meanings_are_not(source: str, target: str) -> None:
    assert names.columns(source, target) == 0.0


def test_a_name_that_nobody_listed_is_compared_by_its_letters() -> None:
    assert 0.5 < names.columns("validity_dayz", "validity_days") < names.CONCEPT
    assert names.columns("colour", "weight") == 0.0


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("auth_user", "users"), ("UserEntity", "users"), ("people", "users"), ("organisations", "tenants"),
        ("auth_user_groups", "user_roles"),
    ],
)  # fmt: skip
def test_tables_of_one_meaning_are_alike(source: str, target: str) -> None:
    assert names.tables(source, target) == names.CONCEPT


def test_no_name_is_listed_for_two_meanings() -> None:
    import tomllib
    from pathlib import Path

    read = tomllib.loads((Path(names.__file__).parent / "names.toml").read_text())
    for kind in ("tables", "columns"):
        listed = [name for line in read[kind] for name in line]
        assert sorted(listed) == sorted(set(listed))


@pytest.mark.parametrize(
    ("source", "target"),
    [("AspNetUserRoles", "user_roles"), ("wp_users", "users"), ("tblRole", "roles"), ("app_account", "users")],
)
def test_a_products_prefix_of_a_table_is_passed_over(source: str, target: str) -> None:
    assert 0.5 < names.tables(source, target) < names.CONCEPT


@pytest.mark.parametrize(
    ("source", "target"), [("user_log", "users"), ("auth_user_groups", "roles"), ("user_group", "roles")]
)
def test_what_a_table_is_called_in_full_counts_before_its_last_words(source: str, target: str) -> None:
    assert names.tables(source, target) == 0.0
