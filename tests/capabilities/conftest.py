"""An operator's console, and the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from tests.clients.conftest import console as console  # the fixture


@pytest.fixture
def portal() -> Callable[..., str]:
    def call(*arguments: str, refused: bool = False) -> str:
        """What the command said; what it was refused with, where it must be."""
        out = io.StringIO()
        if not refused:
            call_command("portal", *arguments, stdout=out)
            return out.getvalue()
        with pytest.raises(CommandError) as error:
            call_command("portal", *arguments, stdout=out)
        return str(error.value)

    return call
