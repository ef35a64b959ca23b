"""A wire to a real server that can be cut at any statement: before it arrives, or after it was done and before its answer.

Or stopped: then something else happens first.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Cut = Literal["before", "after"]
"""`before`: the server never sees the statement. `after`: it does it, and its answer is lost."""

_STATEMENTS = (b"Q", b"S")
"""A simple query, and the Sync that ends an extended one."""
_READY = b"Z\x00\x00\x00\x05"


@dataclass
class _Plan:
    at: int
    cut: Cut | Callable[[], None]
    seen: int = 0
    done: bool = False


class Wire:
    """Listens on a port of its own and passes on what PostgreSQL's protocol says to the server at `url`."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._plan: _Plan | None = None
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        user = f"{self._server.username}:{self._server.password}"
        return self._server._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def arm(self, at: int, cut: Cut | Callable[[], None]) -> None:
        """Cut whichever session says the `at`th statement from now on; or call, and pass it on afterwards."""
        with self._lock:
            self._plan = _Plan(at, cut)

    def count(self, do: Callable[[], object]) -> int:
        """How many statements are said while it is done."""
        self.arm(sys.maxsize, "before")
        do()
        with self._lock:
            assert self._plan is not None
            plan, self._plan = self._plan, None
        return plan.seen

    def disarm(self) -> bool:
        """Returns whether it was cut: if not, there were fewer statements than that."""
        with self._lock:
            plan, self._plan = self._plan, None
            return bool(plan and plan.done)

    def close(self) -> None:
        self._listener.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._server.hostname or "", self._server.port or 5432))
                self._sockets += [client, server]
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                lost = threading.Event()
                threading.Thread(target=self._forward, args=(client, server, lost), daemon=True).start()
                threading.Thread(target=self._back, args=(server, client, lost), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        try:
            while True:  # requests for encryption, then the start of the session
                head = _read(client, 8)
                length, code = struct.unpack("!II", head)
                server.sendall(head + _read(client, length - 8))
                if code >> 16 == 3:
                    break
            while True:
                head = _read(client, 5)
                message = head + _read(client, struct.unpack("!I", head[1:])[0] - 4)
                cut = self._due(head[:1])
                if callable(cut):
                    cut()
                if cut == "before":
                    break
                if cut == "after":
                    lost.set()
                server.sendall(message)
        except OSError:
            pass
        if not lost.is_set():
            _hang_up(client, server)

    def _due(self, kind: bytes) -> Cut | Callable[[], None] | None:
        if kind not in _STATEMENTS:
            return None
        with self._lock:
            if self._plan is None or self._plan.done:
                return None
            self._plan.seen += 1
            if self._plan.seen < self._plan.at:
                return None
            self._plan.done = True
            return self._plan.cut

    def _back(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        swallowed = b""
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if lost.is_set():
                    swallowed = swallowed[-4:] + data
                    if _READY in swallowed or b"G" in data:  # done, or it waits for a COPY's rows
                        break
                    continue
                client.sendall(data)
        _hang_up(client, server)


def _read(source: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = source.recv(count - len(parts))
        if not part:
            raise ConnectionResetError
        parts += part
    return parts


def _hang_up(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            each.close()
