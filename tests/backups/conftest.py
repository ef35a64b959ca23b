from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def backups(tmp_path: Path, settings: Any) -> Path:
    """The store of this test's backups."""
    settings.BACKUP_STORE, settings.BACKUP_WORK = str(tmp_path / "store"), str(tmp_path / "work")
    return tmp_path / "store"
