"""A tenant in legacy."""

from tests.engine.conftest import home  # noqa: F401
