"""The embedded servers: their data survives restarts, and leftovers of a crash do not stop them."""

import os
import shutil
import socket
import sys
from pathlib import Path

import psycopg
import pytest

from config import embedded
from config.embedded import postgres
from config.embedded.process import spawn
from tests.journeys.own_servers import OwnServers


def test_data_survives_a_restart_and_a_crash_with_a_stale_pid_file() -> None:
    with OwnServers() as own:
        with own._at_home(), psycopg.connect(embedded.database_url("portal")) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        own.servers.stop()
        data = Path(own.home) / "postgres"
        assert not (data / "postmaster.pid").exists()
        # As after a power cut, when the pid has become somebody else's.
        (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n0\n1\n\n127.0.0.1\n0 0\nready\n")
        own.start_servers()
        assert own.ask("portal", "SELECT count(*) FROM kept") == 0
        own.kill_servers()
        own.start_servers()
        assert own.ask("portal", "SELECT count(*) + 1 FROM kept") == 1


def test_servers_that_run_already_are_left_alone() -> None:
    with OwnServers() as own, own._at_home():
        second = embedded.start()
        assert (second.postgres, second.redis) == (None, None)
        second.stop()
        assert own.servers.postgres.poll() is None


def test_binaries_must_fit_an_existing_data_directory() -> None:
    assert postgres.find().major >= 14
    with pytest.raises(embedded.EmbeddedError, match="PostgreSQL 9 found"):
        postgres.find(wanted_major=9)


def test_secrets_are_for_their_owner_only() -> None:
    with OwnServers() as own:
        assert (Path(own.home) / "embedded.json").stat().st_mode & 0o077 == 0
        assert (Path(own.home) / "redis" / "valkey.conf").stat().st_mode & 0o077 == 0


def test_a_server_that_cannot_start_shows_its_log() -> None:
    with OwnServers() as own:
        own.servers.stop()
        (Path(own.home) / "postgres" / "postgresql.auto.conf").write_text("nonsense = 1\n")
        with pytest.raises(embedded.EmbeddedError, match="nonsense"):
            own.start_servers()


@pytest.mark.parametrize("binaries", list(postgres._candidates()), ids=lambda b: f"{b.major}-{b.tree and b.tree.name}")
def test_every_kind_of_binaries_found_here_makes_a_server(
    binaries: postgres.Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_candidates", lambda: iter([binaries]))
    with OwnServers() as own:
        assert own.ask("portal", "SELECT current_setting('server_version_num')::int / 10000") == binaries.major


def test_a_directory_closed_to_the_servers_user_is_worked_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs PostgreSQL as somebody else")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("PORTAL_HOME", str(closed / "home"))
    servers = embedded.start(redis=False)
    place = postgres._place(postgres.server_user())
    try:
        with psycopg.connect(embedded.database_url("portal")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert place.parent == Path("/var/tmp")
    finally:
        servers.stop()
        shutil.rmtree(place)


def test_a_saved_port_that_somebody_else_took_is_changed() -> None:
    with OwnServers() as own:
        own.servers.stop()
        with own._at_home():
            before = embedded.settings()
        with socket.socket() as one, socket.socket() as two:
            for taken, port in ((one, before.postgres_port), (two, before.redis_port)):
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                taken.bind(("127.0.0.1", port))
                taken.listen()
            own.start_servers()
            assert own.ask("portal", "SELECT 1") == 1
            with own._at_home():
                after = embedded.settings()
        assert after.postgres_port != before.postgres_port
        assert after.redis_port != before.redis_port
        assert after.password == before.password


def test_logs_are_readable_to_us_alone(tmp_path: Path) -> None:
    old = tmp_path / "old.log"
    old.touch(0o644)
    for log in (old, tmp_path / "new.log"):
        spawn([sys.executable, "-c", "print('x')"], log, None).wait(20)
        assert log.stat().st_mode & 0o777 == 0o600 and log.read_text() == "x\n"
