"""The JSON Schema of plan files: as documented, and what the loader agrees with."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from config.settings import BASE_DIR
from migration_portal.plan import schema

PLANS = sorted(
    [*(BASE_DIR / "migration_portal/plan/plans").glob("*.toml"), *(BASE_DIR / "examples").glob("*/plan.toml")]
)


def test_the_documented_schema_is_the_loaders() -> None:
    assert (BASE_DIR / "docs/plan.schema.json").read_text(encoding="utf-8") == schema.as_json()


@pytest.mark.parametrize("path", PLANS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_plan_of_ours_is_valid(path: Path) -> None:
    jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), json.loads(schema.as_json()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('key = ["id"]\n', ""),
        ("[tables.defaults]", "[tables.default]"),
        ('email = "email"', "email = []"),
        ("{ uuid =", "{ uid ="),
    ],
)
def test_what_the_loader_refuses_an_editor_shows(old: str, new: str) -> None:
    text = (BASE_DIR / "migration_portal/plan/plans/sigma_permit.toml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text.replace(old, new, 1)), json.loads(schema.as_json()))
