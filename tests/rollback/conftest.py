from tests.backups.conftest import backups  # noqa: F401 - a full roll-back restores one
