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
    if subject.tenant and not subject.wave:
        home = TenantHome.objects.filter(pk=subject.tenant).only("wave").first()
        subject = Subject(subject.user, subject.tenant, home.wave if home else "")
    return decide(definitions(fresh=fresh), name, subject)


def definitions(*, fresh: bool = False) -> Mapping[str, Definition]:
    """All flags by name."""
    global _known
    with _lock:
        read_at, found = _known
        if fresh or time.monotonic() - read_at > _SECONDS:
            found = {flag.name: definition(flag) for flag in Flag.objects.prefetch_related("requires")}
            _known = (time.monotonic(), found)
    return found


def definition(flag: Flag) -> Definition:
    return Definition(
        name=flag.name,
        kind="tenant" if flag.kind == Flag.Kind.TENANT else "user",
        percentage=flag.percentage,
        group=flag.bucket_group,
        salt=flag.salt,
        killed=flag.killed,
        requires=tuple(sorted(required.name for required in flag.requires.all())),
        targets=frozenset(flag.targets),
        excluded=frozenset(flag.excluded),
        waves=frozenset(flag.waves),
        fact=flag.fact,
        met=flag.met,
    )
