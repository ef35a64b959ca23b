"""manage.py, where its output goes into a pipe."""

import subprocess
import sys

from config import embedded


def test_a_reader_who_has_enough_is_no_error() -> None:
    said = subprocess.run(
        f"{sys.executable} manage.py check | true",
        cwd=embedded.PROJECT,
        shell=True,
        capture_output=True,
        text=True,
    )
    assert said.stderr == ""
