"""Keeping a handful of processes alive on one machine: a process that dies is started again.

Not for production, where systemd or a container runtime does it (compose.yaml). Celery's worker
needs it: one that loses its broker at the wrong moment ends instead of reconnecting.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

Start = Callable[[], "subprocess.Popen[bytes] | None"]
_POLL_SECONDS = 0.5
_SHORTEST_LIFE_SECONDS = 1.0


class Supervisor:
    """Starts processes in order, restarts those that end, and stops them in reverse order.

    A `Start` returns the process, or None when somebody else runs it. The pids are kept in a
    JSON file (name -> pid), for an operator who wants to look at or kill one.
    """

    def __init__(self, pids: Path) -> None:
        self._pids = pids
        self._starts: dict[str, Start] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stop_signals: dict[str, signal.Signals] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def add(self, name: str, start: Start, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Start a process now and keep it running."""
        self._stop_signals[name] = stop_signal
        if process := start():
            self._starts[name] = start
            self._running[name] = process
        self._write()
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """Stop everything, the last first; what does not end in time is killed with its children."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        for name, process in reversed(self._running.items()):
            process.send_signal(self._stop_signals[name])
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._pids.unlink(missing_ok=True)

    def _watch(self) -> None:
        while not self._ending.wait(_POLL_SECONDS):
            for name, process in list(self._running.items()):
                if process.poll() is not None and not self._ending.is_set():
                    self._restart(name)

    def _restart(self, name: str) -> None:
        # Its children first: a pool of workers outlives its parent's SIGKILL.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._running[name].pid, signal.SIGKILL)
        time.sleep(_SHORTEST_LIFE_SECONDS)
        try:
            process = self._starts[name]()
        except Exception:
            return  # tried again at the next look; the process's own log says why
        if process is not None:
            self._running[name] = process
            self._write()

    def _write(self) -> None:
        # Whole or not at all: whoever reads it meanwhile must not find half a file.
        fresh = self._pids.with_suffix(".new")
        fresh.write_text(json.dumps({name: process.pid for name, process in self._running.items()}))
        fresh.replace(self._pids)
