"""A gate before a server, which a test shuts, or mutes as a network does that swallows every packet."""

from __future__ import annotations

import contextlib
import select
import socket
import threading


class Gate:
    """Forwards connections to `host`:`port` from a port of its own."""

    def __init__(self, host: str, port: int) -> None:
        self.behind = host, port
        self.muted = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        """Refuse from now on; who is connected is cut off."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()

    def mute(self) -> None:
        """Cut off who is connected; accept others, and say nothing."""
        self.muted = True
        self._cut()

    def _cut(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                asking, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(asking)
            if not self.muted:
                answering = socket.create_connection(self.behind)
                self._open.append(answering)
                threading.Thread(target=self._carry, args=(asking, answering), daemon=True).start()

    def _carry(self, *pair: socket.socket) -> None:
        other = dict(zip(pair, reversed(pair), strict=True))
        with contextlib.suppress(OSError):
            while True:
                for side in select.select(pair, [], [])[0]:
                    data = side.recv(65536)
                    if not data:
                        return
                    other[side].sendall(data)
        for each in pair:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
