"""Real workers, real SIGKILLs: nothing is lost or doubled, whatever dies and whenever."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from migration_portal.engine.copy import boundaries
from migration_portal.runs.advance import advance
from migration_portal.runs.dispatch import dispatch
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from tests.sampling import some
from tests.world import World, eventually

KILLS = int(os.environ.get("PORTAL_TEST_KILLS", "25"))


def identical(world: World, run: Run, dirt) -> None:
    """The target holds what the source does, less what must be quarantined: counted, and compared byte by byte."""
    result = report(run)
    assert result.passed, result.as_dict()
    assert {name: table.reasons for name, table in result.tables.items()} == dirt.quarantined()
    for name, table in result.tables.items():
        with world.iam() as iam:
            assert iam.execute(f"SELECT count(*) FROM {name}").fetchone()[0] == table.copied, name
    with world.legacy() as legacy, world.iam() as iam:
        theirs = dict(legacy.execute("SELECT lower(id), md5(users::text) FROM users WHERE id = lower(id)").fetchall())
        mine = iam.execute(
            "SELECT id::text, md5(ROW(id, tenant_id, email, username, full_name, hashed_password, is_active, is_superuser,"
            " is_verified, avatar_url, bio, phone_number, mfa_enabled, mfa_secret_encrypted, refresh_token, created_at,"
            " updated_at, last_login)::text) FROM users"
        ).fetchall()
        assert len(mine) == result.tables["users"].copied
        assert all(theirs[key] == digest for key, digest in mine)


class Mortal:
    """A worker process of our own loop, without a broker's start-up time, so that it can die a hundred times a minute."""

    CODE = (
        "import sys, time, django; django.setup()\n"
        "from migration_portal.runs.work import work\n"
        "from migration_portal.runs.models import Run\n"
        "print('up', flush=True)\n"
        "while Run.objects.get(pk=int(sys.argv[1])).state == 'running':\n"
        "    work(int(sys.argv[1])) or time.sleep(0.05)\n"
    )

    def __init__(self, world: World, run: Run) -> None:
        self.process = world.spawn("-c", self.CODE, str(run.pk), DJANGO_SETTINGS_MODULE="config.settings")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Nursery:
    """Forks workers of our own loop from a process that has Django loaded already: they start in milliseconds."""

    CODE = (
        "import os, sys, time, django; django.setup()\n"
        "from migration_portal.runs.models import Run\n"
        "from migration_portal.runs.work import work\n"
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "for line in sys.stdin:\n"
        "    if child := os.fork():\n"
        "        print(child, flush=True)\n"
        "        continue\n"
        "    while Run.objects.get(pk=int(sys.argv[1])).state == 'running':\n"
        "        work(int(sys.argv[1])) or time.sleep(0.02)\n"
        "    os._exit(0)\n"
    )

    def __init__(self, world: World, run: Run) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE, str(run.pk)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env=world.environment | {"DJANGO_SETTINGS_MODULE": "config.settings", "CHUNK_SECONDS": "0.001"},
        )  # fmt: skip
        world.processes.append(self.process)

    def born(self) -> int:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def test_random_kills_of_workers_lose_and_double_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = int(os.environ.get("PORTAL_TEST_SEED", random.randrange(10**6)))
    print(f"PORTAL_TEST_SEED={seed}")  # shown when it fails
    chance = random.Random(seed)
    dirt = world.sample(users=600 * KILLS, tenants=60)
    monkeypatch.setattr(boundaries, "GRANULE_BYTES", 1)  # the smallest chunks
    run = start(by="tester")
    nursery = Nursery(world, run)
    workers = [nursery.born(), nursery.born()]
    killed_while_copying = 0
    while killed_while_copying < KILLS and _state(run) == State.RUNNING:
        time.sleep(chance.uniform(0.0, 0.15))
        victim = chance.randrange(2)
        with contextlib.suppress(ProcessLookupError):
            os.kill(workers[victim], signal.SIGKILL)
        workers[victim] = nursery.born()
        killed_while_copying += _copying(world)
    eventually(lambda: _ended(run), seconds=120, every=0.3)
    assert run.state == State.COMPLETED, run.error
    assert killed_while_copying >= KILLS
    identical(world, run, dirt)


def _copying(world: World) -> bool:
    with world.iam() as iam:
        return iam.execute(
            "SELECT EXISTS (SELECT FROM portal_ledger.chunks WHERE kind = 'copy' AND state <> 'done')"
        ).fetchone()[0]


POINTS = {
    "after the claim": ("migration_portal.runs.work", "perform", "before"),
    "mid-chunk, before the rows are written": ("migration_portal.engine.copy.copying", "pipe", "before"),
    "mid-chunk, after the rows, before the done-mark": ("migration_portal.engine.copy.copying", "pipe", "after"),
    "after the done-mark, before the commit": ("migration_portal.engine.ledger", "done", "after"),
    "after the commit, before anybody knows": ("migration_portal.runs.work", "perform", "after"),
    "while building a constraint": ("migration_portal.engine.copy.constraints", "_create", "after"),
    "while preparing": ("migration_portal.engine.copy.constraints", "suspend", "after"),
    "while planning a step": ("migration_portal.engine.kinds", "chunks_of", "before"),
    "while comparing": ("migration_portal.engine.verify.tables", "differences_in", "before"),
}
# A worker that kills itself at one point of the code: SIGKILL, with no chance to clean up.
SUICIDE = (
    "import os, sys, django; django.setup()\n"
    "import importlib\n"
    "module, name, when = sys.argv[2:5]\n"
    "module = importlib.import_module(module)\n"
    "inner = getattr(module, name)\n"
    "def fatal(*a, **k):\n"
    "    if when == 'after': inner(*a, **k)\n"
    "    os.kill(os.getpid(), 9)\n"
    "setattr(module, name, fatal)\n"
    "from migration_portal.runs.work import work\n"
    "import time\n"
    "for _ in range(50): work(int(sys.argv[1])); time.sleep(0.05)\n"
)


@pytest.mark.parametrize("point", some(list(POINTS), 2, "points"))
def test_a_worker_killed_at(world: World, point: str) -> None:
    dirt = world.sample(users=800, tenants=10)
    run = start(by="tester")
    if point == "while comparing":
        with world.iam() as iam:  # only a difference makes it descend: let the first comparison find one
            iam.execute("INSERT INTO tenants (name, slug) VALUES ('native', 'native')")
    victim = world.spawn("-c", SUICIDE, str(run.pk), *POINTS[point], DJANGO_SETTINGS_MODULE="config.settings")
    assert victim.wait(60) == -signal.SIGKILL
    survivor = Mortal(world, run)
    eventually(lambda: _ended(run), seconds=60, every=0.2)
    survivor.kill()
    assert run.state == State.COMPLETED
    if point == "while comparing":
        assert report(run).accounted
    else:
        identical(world, run, dirt)


def test_the_real_stack_survives_kills_of_celery_beat_and_a_lost_queue(world: World) -> None:
    import redis

    dirt = world.sample(users=6000, tenants=20)
    worker, beat = world.worker(), world.beat()
    run = start(by="tester")
    eventually(lambda: _chunks_done(world, run) > 2, seconds=60)
    os.killpg(worker.pid, signal.SIGKILL)
    os.killpg(beat.pid, signal.SIGKILL)
    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()  # every message is gone
    world.worker()
    world.beat()
    eventually(lambda: _state(run) == State.COMPLETED, seconds=120)
    identical(world, run, dirt)


def _chunks_done(world: World, run: Run) -> int:
    with world.iam() as iam:
        return iam.execute("SELECT count(*) FROM portal_ledger.chunks WHERE state = 'done'").fetchone()[0]


def _ended(run: Run) -> bool:
    advance(run)  # the tick
    return _state(run) != State.RUNNING


def _state(run: Run) -> str:
    run.refresh_from_db()
    return run.state


def test_a_dead_workers_chunk_is_taken_over_by_the_tick(world: World) -> None:
    dirt = world.sample()
    run = start(by="tester")
    dispatch(run)
    victim = subprocess.Popen(["true"])
    victim.wait()
    from migration_portal.engine import ledger
    from migration_portal.runs.connections import open_transfer

    with open_transfer(run, "test") as transfer:
        assert ledger.claim(transfer.target, run.key, "dead") is not None
    with world.iam() as iam:
        iam.execute("UPDATE portal_ledger.chunks SET lease_until = now() - interval '1 s' WHERE state = 'claimed'")
    survivor = Mortal(world, run)
    eventually(lambda: _ended(run), seconds=60)
    survivor.kill()
    identical(world, run, dirt)
