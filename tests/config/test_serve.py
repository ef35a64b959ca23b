"""The web server: slow clients keep nobody waiting, bodies without a length arrive, and it ends when it is told to."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.world import World, eventually

SLOW = 60


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def answer_time(url: str) -> float:
    begun = time.monotonic()
    assert urllib.request.urlopen(f"{url}/health/live", timeout=10).status == 200
    return time.monotonic() - begun


HEAD = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("begun", [HEAD, HEAD + b"Content-Length: 900\r\n\r\na"])
def test_slow_heads_and_bodies_take_no_thread(world: World, begun: bytes) -> None:
    url = world.site()
    slow = [connect(url) for _ in range(SLOW)]
    for each in slow:
        each.sendall(begun)
    time.sleep(0.5)
    assert max(answer_time(url) for _ in range(5)) < 2
    for each in slow:
        each.close()


def test_a_body_in_chunks_is_read_whole(world: World) -> None:
    with connect(world.site()) as client:
        body = b"username=nobody&password=x"
        head = (
            b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n"
        )
        client.sendall(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 401"), answer


@pytest.fixture
def two(world: World) -> Iterator[tuple[str, Any]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}"
    process = world.spawn("-m", "config.serve", "--bind", place, "--processes", "2")

    def up() -> bool:
        try:
            return answer_time(f"http://{place}") < 10
        except OSError:
            return False

    eventually(up)
    yield place, process


def children(process: Any) -> list[int]:
    told = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(pid) for pid in told.stdout.split()]


def test_two_processes_end_when_they_are_told_to(two: tuple[str, Any]) -> None:
    _, process = two
    assert len(children(process)) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_one_that_dies_takes_the_other_along_to_be_started_anew(two: tuple[str, Any]) -> None:
    import os

    _, process = two
    os.kill(children(process)[0], signal.SIGKILL)
    assert process.wait(20) == 1


def test_an_address_that_is_taken_is_said(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "config.serve", "--bind", place],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode != 0 and "in use" in done.stderr
