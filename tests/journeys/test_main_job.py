"""`make run` as an operator runs it: from nothing to a verified migration, also when everything is killed on the way."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import embedded
from migration_portal.sample.dirt import Dirt
from tests.sampling import some
from tests.world import eventually

_URLS = ("DATABASE_URL", "LEGACY_DATABASE_URL", "IAM_DATABASE_URL", "REDIS_URL")


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="portal-job-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def job(home: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if k not in _URLS}
    return subprocess.Popen(
        [sys.executable, "-m", "config.main_job", "--port", str(random.randrange(20000, 40000)), *arguments],
        cwd=embedded.PROJECT, env=clean | {"PORTAL_HOME": str(home), "COLUMNS": "160"} | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def alive(home: Path) -> list[str]:
    """Command lines of processes that still belong to this home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"PORTAL_HOME={home}" in (entry / "environ").read_text() or str(home) in (entry / "cmdline").read_text():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_the_main_job_ends_with_every_row_accounted_for(home: Path) -> None:
    process = job(home, "--users", "2000", "--exit", "--json", str(home / "report.json"))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "Every row is accounted for." in output
    report = json.loads((home / "report.json").read_text())
    expected = Dirt(2000, 20).quarantined()
    assert {name: table["reasons"] for name, table in report["tables"].items()} == expected
    for table in report["tables"].values():
        assert table["source"] == table["copied"] + table["quarantined"]
    assert "password" in output
    assert alive(home) == []
    # A second start finds its data, keeps its password to itself, and does nothing twice.
    process = job(home, "--exit")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "rows of an earlier run" in output
    assert "as printed at the first start" in output


def test_the_main_job_survives_sigkill_of_every_process(home: Path) -> None:
    process = job(home, "--users", "25000", "--exit", "--json", str(home / "report.json"))
    pids = home / "pids.json"
    eventually(lambda: "beat" in _pids(pids))
    eventually(lambda: "Task runs.work" in _log(home))
    killed = []
    for name in ("worker", "postgres", "redis", "beat", "web", "worker"):
        before = _pids(pids).get(name)
        if before is None or process.poll() is not None:
            break  # it was quicker than we
        with contextlib.suppress(ProcessLookupError):  # it ended with the process before it, and is about to be started
            os.kill(before, signal.SIGKILL)
        killed.append(name)
        eventually(lambda name=name, before=before: _pids(pids).get(name) != before)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert set(killed) >= {"worker", "postgres", "redis"}
    report = json.loads((home / "report.json").read_text())
    assert report["passed"]
    assert {name: table["reasons"] for name, table in report["tables"].items()} == Dirt(25000, 250).quarantined()
    assert alive(home) == []


def _log(home: Path) -> str:
    log = home / "logs" / "worker.log"
    return log.read_text() if log.exists() else ""


def _pids(path: Path) -> dict[str, int]:
    """What the supervisor runs now; nothing before it began and after it ended."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


@pytest.mark.parametrize("before", some([signal.SIG_DFL, signal.SIG_IGN], 1, "Ctrl-C"), ids=str)
def test_ctrl_c_stops_everything(home: Path, before: signal.Handlers) -> None:
    was = signal.signal(signal.SIGINT, before)  # a child inherits that it is ignored
    try:
        process = job(home, "--serve")
    finally:
        signal.signal(signal.SIGINT, was)
    eventually(lambda: "beat" in _pids(home / "pids.json"))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert alive(home) == []


@pytest.mark.parametrize(
    ("variable", "words"), [("LEGACY_DATABASE_URL", "legacy database"), ("IAM_DATABASE_URL", "IAM database")]
)
def test_an_unreachable_database_is_a_clear_error_and_a_non_zero_exit(home: Path, variable: str, words: str) -> None:
    process = job(home, "--exit", **{variable: "postgres://portal:hidden@127.0.0.1:1/nowhere"})
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output
    assert words in output
    assert "does not answer" in output.replace("\n", " ")
    assert "Traceback" not in output
    assert "hidden" not in output
