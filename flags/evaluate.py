"""Is it on? Definitions are kept for two seconds, so that a kill is seen everywhere within five."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from flags.decide import Decision, Definition, Subject, decide
from flags.models import Flag, TenantHome

_SECONDS = 2.0
_lock = threading.Lock()
_known: tuple[float, Mapping[str, Definition]] = (0.0, {})


def is_on(name: str, subject: Subject) -> bool:
    """Whether the flag is on for the subject. A flag nobody has defined is off."""
    return explain(name, subject).on


def explain(name: str, subject: Subject, *, fresh: bool = False) -> Decision:
    """The decision and its reason; `fresh` for an operator who has just changed something."""
    return decide(definitions(fresh=fresh), name, TenantHome.with_wave(subject))


def definitions(*, fresh: bool = False) -> Mapping[str, Definition]:
    """All flags by name."""
    global _known
    with _lock:
        read_at, flags = _known
        if fresh or time.monotonic() - read_at > _SECONDS:
            flags = Flag.objects.definitions()
            _known = (time.monotonic(), flags)
    return flags
