from tests.backups.conftest import backups  # noqa: F401 - what is rehearsed is a backup
