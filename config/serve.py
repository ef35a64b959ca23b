"""The web server: waitress, which has a request whole before a thread takes it, so that slow clients keep nobody waiting.

`python -m config.serve [--bind HOST:PORT] [--processes N] [--threads N]`. The processes share one listening socket.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from typing import Any

BACKLOG = 1024
OPTIONS: dict[str, Any] = {
    "channel_timeout": 30,  # seconds without a byte, after which a connection is closed
    "cleanup_interval": 5,
    "connection_limit": 500,
    "asyncore_use_poll": True,  # select() ends at 1,024 descriptors, and the server with it
    "backlog": BACKLOG,
    "max_request_header_size": 65_536,
    "max_request_body_size": 20_000_000,
    "inbuf_overflow": 1_000_000,  # longer bodies wait in a file
    "clear_untrusted_proxy_headers": False,  # config/behind_proxy.py decides, by BEHIND_PROXY
    "ident": None,
}


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. When one of several processes ends by itself all are stopped, with 1: to be started anew."""
    parser = argparse.ArgumentParser(prog="python -m config.serve", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1:8000", help="host:port")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=4, help="of each process")
    options = parser.parse_args(arguments)
    if options.processes < 1 or options.threads < 1:
        parser.error("--processes and --threads are at least 1.")
    try:
        listening = _listen(options.bind)
    except (OSError, ValueError) as error:
        parser.error(f"cannot listen on {options.bind}: {error}")
    if options.processes == 1:
        return _serve(listening, options.threads)
    children = [_fork(listening, options.threads) for _ in range(options.processes)]
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda *_: sys.exit(0))
    ended = 0
    try:
        ended, _ = os.wait()
    finally:
        _stop([child for child in children if child != ended])
    return 1


def _listen(bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]") or None, int(port), type=socket.SOCK_STREAM)[0]
    made = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    made.setblocking(False)
    return made


def _fork(listening: socket.socket, threads: int) -> int:
    if child := os.fork():
        return child
    os._exit(_serve(listening, threads))


def _serve(listening: socket.socket, threads: int) -> int:
    import waitress

    os.environ.setdefault("DATABASE_CONNECT_SECONDS", "2")  # who looks at a page does not wait as a worker does
    from config.wsgi import application

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    waitress.serve(application, sockets=[listening], threads=threads, **OPTIONS)
    return 0


def _stop(children: list[int]) -> None:
    for child in children:
        os.kill(child, signal.SIGTERM)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    sys.exit(main())
