"""The pre-flight of reverse sections: executed, and counted over every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import builders
from tests.inventory.findings import preflight
from tests.world import World


@pytest.fixture
def findings(world: World, settings: Any, tmp_path: Path) -> Any:
    """The findings about users with some of the plan's text replaced: subject → (severity, what)."""
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.user(world, home, id="00000000-0000-4000-8000-00000000000A", full_name=" Ann", phone_number="1")
    builders.user(world, home, full_name="Bob")
    text = Path(settings.MIGRATION_PLAN).read_text()

    def ask(*replaced: str) -> dict[str, tuple[str, str]]:
        changed = text
        for old, new in zip(replaced[::2], replaced[1::2], strict=True):
            assert old in changed
            changed = changed.replace(old, new, 1)
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(changed)
        return {
            f["subject"]: (f["severity"], f["what"])
            for f in preflight()["findings"]
            if f["subject"].startswith("users.")
        }

    return ask


def test_a_column_that_comes_back_as_something_else_is_counted_with_examples(findings: Any) -> None:
    severity, what = findings('full_name = "full_name"', 'full_name = "btrim(full_name)"')["users.full_name"]
    assert severity == "warning" and "in 1 of 2 rows" in what and "' Ann' → 'Ann'" in what


def test_values_of_secret_columns_are_not_shown(findings: Any) -> None:
    mapped = 'hashed_password = "hashed_password"'
    assert "→" not in findings(mapped, 'hashed_password = "upper(hashed_password)"')["users.hashed_password"][1]


def test_what_the_plan_accepts_by_name_is_only_told(findings: Any) -> None:
    found = findings(
        'full_name = "full_name"',
        'full_name = "btrim(full_name)"',
        'secret = ["hash',
        'lossy = ["full_name"]\nsecret = ["hash',
    )
    assert found["users.full_name"][0] == "info"


@pytest.mark.parametrize(
    ("mapped", "back"),
    [
        ('id = "id::uuid"', 'id = "id::uuid"'),
        ('phone_number = "phone_number"', "phone_number = \"'+' || phone_number\""),
    ],
)
def test_ids_come_back_as_legacy_writes_them_and_whole_columns_as_they_are(
    findings: Any, mapped: str, back: str
) -> None:
    found = findings(mapped, back)
    assert "users.id" not in found and ("users.phone_number" in found) == (mapped != back)


def test_an_expression_that_the_iam_cannot_execute_is_named(findings: Any) -> None:
    severity, what = findings('last_login = "coalesce(last_login_at, last_login)"', 'last_login = "last_logged_in"')[
        "users.last_login"
    ]
    assert severity == "error" and "last_logged_in" in what


def _born(findings: Any, *replaced: str) -> list[str]:
    """The tables of which a row that is born in the IAM would come back as another."""
    findings(*replaced)
    return [each["subject"] for each in preflight()["findings"] if "is born in the IAM" in each["what"]]


def test_an_id_that_both_sides_share_is_known_again(findings: Any) -> None:
    assert _born(findings) == []


def test_an_id_that_legacy_would_write_as_another_is_told(findings: Any) -> None:
    assert _born(findings, 'id = "id::text"', 'id = "md5(id::text)"') == ["tenants"]
