"""Pre-flight says whether those who arrive could sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import builders
from tests.inventory.findings import preflight
from tests.world import World


def told(about: str) -> list[tuple[str, str]]:
    return [(f["severity"], f["what"]) for f in preflight()["findings"] if f["subject"] == f"users.{about}"]


def people(world: World, *passwords: str, **values: Any) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    for password in passwords:
        builders.user(world, home, hashed_password=password, **values)


def test_of_passwords_that_can_be_checked_it_says_nothing(world: World) -> None:
    people(world, builders.HASH)
    assert told("hashed_password") == []


def test_it_counts_who_has_none_and_whose_is_of_an_unknown_kind(world: World) -> None:
    people(world, builders.HASH, "", "!", "0cc175b9c0f1b6a831c399e269772661")
    assert told("hashed_password") == [
        ("warning", "The IAM cannot check the hashes of 1 of 4 active users."),
        ("info", "2 of 4 active users have no password."),
    ]


def test_a_plan_that_brings_nobodys_password_is_green_no_more(world: World, settings: Any, tmp_path: Path) -> None:
    people(world, builders.HASH, builders.HASH)
    text = Path(settings.MIGRATION_PLAN).read_text()
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(
        text.replace('hashed_password = "hashed_password"', "hashed_password = \"''\"", 1)
    )
    assert ("warning", "None of 2 active users would have a password.") in told("hashed_password")


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("JBSWY3DPEHPK3PXP", "not encrypted"),
        ("jbsw y3dp ehpk 3pxp", "not encrypted"),
        ("c2VjcmV0IGZvciBjb2RlcyE=", "MFA_SECRET_KEY is not set"),
    ],
)
def test_second_factors_that_could_not_be_checked_are_told(world: World, settings: Any, secret: str, said: str) -> None:
    settings.MFA_SECRET_KEY = ""
    people(world, builders.HASH, mfa_enabled=True, mfa_secret_encrypted=secret)
    [(severity, what)] = told("mfa_secret_encrypted")
    assert severity == "warning" and said in what


@pytest.mark.parametrize("values", [{"mfa_enabled": False, "mfa_secret_encrypted": "JBSWY3DPEHPK3PXP"},
                                    {"mfa_enabled": True, "mfa_secret_encrypted": ""}])  # fmt: skip
def test_who_is_asked_for_no_code_is_no_matter(world: World, settings: Any, values: dict[str, Any]) -> None:
    settings.MFA_SECRET_KEY = ""
    people(world, builders.HASH, **values)
    assert told("mfa_secret_encrypted") == []


def test_an_expression_that_fails_on_some_row_is_told_by_others(world: World, settings: Any, tmp_path: Path) -> None:
    people(world, builders.HASH, full_name="perhaps")
    text = (
        Path(settings.MIGRATION_PLAN)
        .read_text()
        .replace('is_active = "is_active"', 'is_active = "full_name::boolean"', 1)
    )
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text)
    assert "error" not in {each["severity"] for each in preflight()["findings"] if "sign-in" in each["subject"]}
