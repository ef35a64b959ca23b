from datetime import timedelta

import pytest

from migration_portal.rollback import validating
from tests.backups.conftest import backups  # noqa: F401 - a full roll-back restores one


@pytest.fixture(autouse=True)
def nothing_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validating, "_SETTLING", timedelta(0))
