from tests.backups.conftest import backups  # noqa: F401 - for attacks on roll-backs
from tests.cutover.conftest import acme, home  # noqa: F401
