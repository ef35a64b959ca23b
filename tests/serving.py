"""A web server within this process, on this test's databases: the real one, without the seconds that a process of its own takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import waitress

from config.serve import OPTIONS


@contextmanager
def served(settings: Any) -> Iterator[str]:
    """Its URL, which is also its OAuth issuer, until the end of the block."""
    from config.wsgi import application

    server = waitress.create_server(application, host="127.0.0.1", port=0, threads=4, **OPTIONS)
    settings.ISSUER = f"http://127.0.0.1:{server.effective_port}"
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield settings.ISSUER
    finally:
        server.trigger.pull_trigger(server._map.clear)  # its loop ends when there is nothing to listen to
        thread.join(10)
        server.task_dispatcher.shutdown()
