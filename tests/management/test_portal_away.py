"""manage.py portal when something is away, as an operator sees it in a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from config import embedded
from tests.world import World


def run(world: World, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "portal", *arguments]
    return subprocess.run(
        command, cwd=embedded.PROJECT, env=world.environment | environment, capture_output=True, text=True, timeout=60
    )


def test_a_portal_without_its_database_says_so_in_one_line(world: World) -> None:
    done = run(world, "pause", "1", DATABASE_URL="postgres://nobody@127.0.0.1:1/portal")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "the portal's own database: The server does not answer" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_terminal_shows_answers_and_the_log_has_the_events(world: World, tmp_path: Path) -> None:
    log = tmp_path / "deep" / "portal.log"
    done = run(world, "verify_audit", COMMAND_LOG=str(log))
    assert done.returncode == 0 and done.stderr == "" and "events are as they were written" in done.stdout
    assert '"event": "audit"' in log.read_text()
