from tests.cutover.conftest import acme, home  # noqa: F401
