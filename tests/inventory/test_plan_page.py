"""The plan's page: both schemas, whose a row is, what is read, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from config.settings import BASE_DIR
from migration_portal.sample import examples
from tests import builders
from tests.world import World


@pytest.fixture
def page(world: World, settings: Any, tmp_path: Path) -> Any:
    """The page of the example's plan, with some of its text replaced."""
    example = BASE_DIR / "examples/02_people_and_credentials"
    with world.legacy() as legacy:
        examples.fill_legacy(legacy, example)
    builders.member("operator", username="otto")
    client = Client()
    client.login(username="otto", password="secret-pass-1")

    def shown(old: str = "", new: str = "") -> str:
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text((example / "plan.toml").read_text().replace(old, new))
        return client.get(reverse("plan")).content.decode()

    return shown


def test_it_shows_whose_a_row_is_what_is_read_and_the_way_back(page: Any) -> None:
    told = page()
    assert "tenant <code>org</code>" in told and "credentials</span> by" in told
    assert "id, credentials.person, credentials.hash" in told and "Reverse" in told


def test_a_lossy_column_is_marked(page: Any) -> None:
    assert "lossy" in page('ignored = ["changed"]', 'ignored = ["changed"]\nlossy = ["totp"]')


def test_sql_that_legacy_does_not_understand_is_told_there(page: Any) -> None:
    assert "Legacy cannot compute it" in page('username = "login"', 'username = "logged"')
