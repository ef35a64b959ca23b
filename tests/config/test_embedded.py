"""The embedded servers: their data survives restarts, and leftovers of a crash do not stop them."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from config import embedded
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
    assert embedded.find_postgres().major >= 14
    with pytest.raises(embedded.EmbeddedError, match="PostgreSQL 9 found"):
        embedded.find_postgres(wanted_major=9)


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
        assert signal.SIGINT
