"""Work that no client waits for: done by one thread a process, from a queue that never grows without bound."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from django.db import DatabaseError, connections

log = structlog.get_logger(__name__)


class Background:
    """Hands what is put in to `do`, some at a time. What does not fit, or fails, is dropped and counted in the log."""

    def __init__(self, name: str, do: Callable[[Sequence[Any]], None], *, most: int, pause: float = 1.0) -> None:
        self.name, self.do, self.pause = name, do, pause
        self.waiting: queue.Queue[Any] = queue.Queue(most)
        self.dropped = 0
        self._owner = 0
        self._lock = threading.Lock()

    def put(self, item: Any) -> None:
        """Never waits."""
        try:
            self.waiting.put_nowait(item)
        except queue.Full:
            self.dropped += 1
        if self._owner != os.getpid():  # the first in this process: threads do not survive a fork
            with self._lock:
                if self._owner != os.getpid():
                    self._owner = os.getpid()
                    threading.Thread(target=self._run, name=self.name, daemon=True).start()
                    atexit.register(self.join)

    def join(self) -> None:
        """Wait until everything put in so far is done."""
        self.waiting.join()

    def _run(self) -> None:
        while True:
            items = [self.waiting.get()]
            time.sleep(self.pause)
            while len(items) < 1000 and not self.waiting.empty():
                items.append(self.waiting.get_nowait())
            self._do(items)
            connections.close_all()  # nobody else would: this thread serves no requests

    def _do(self, items: Sequence[Any]) -> None:
        try:
            self._try(items)
        finally:
            for _ in items:
                self.waiting.task_done()

    def _try(self, items: Sequence[Any]) -> None:
        try:
            self.do(items)
        except DatabaseError as error:
            self.dropped += len(items)
            log.warning("dropped", what=self.name, items=len(items), error=str(error).splitlines()[0][:200])
        except Exception:  # whatever it is, the thread has to live for the items after these
            self.dropped += len(items)
            log.exception("dropped", what=self.name, items=len(items))
        if self.dropped:
            log.warning("dropped", what=self.name, items=self.dropped)
            self.dropped = 0
