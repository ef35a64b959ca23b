"""The legacy system as a plain HTTP server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Upstream:
    """The legacy system as a plain HTTP server that remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.behave = ""
        self.written: Callable[[str, bytes], None] | None = None
        """What a write does, before it is answered: given its path and its body."""
        self.headers: list[tuple[str, str]] = [("Content-Type", "application/vnd.old+json")]
        self.status, self.body = 207, b'{"from":"legacy"}'
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                upstream.seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
                if self.command != "GET" and upstream.written:
                    upstream.written(self.path, upstream.seen[-1][3])
                if upstream.behave == "slow":
                    time.sleep(1.5)
                if upstream.behave == "nonsense":
                    self.wfile.write(b"what is this\r\n\r\n")
                    return
                body = upstream.body
                self.send_response(upstream.status)
                for header in upstream.headers:
                    self.send_header(*header)
                self.send_header("X-Old", "yes")
                self.send_header("Content-Length", str(len(body) + (50 if upstream.behave == "cut" else 0)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def say(self, status: int, body: Any) -> None:
        self.status, self.body = status, json.dumps(body).encode()
