"""Is a flag on for a subject, and why? Pure: it reads definitions that were fetched before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter

from flags.buckets import Kind, bucket, covered


@dataclass(frozen=True)
class Subject:
    """Whom it is about: ids as the IAM writes them, never e-mails. Either may be unknown; `wave` is the tenant's."""

    user: str = ""
    tenant: str = ""
    wave: str = ""


@dataclass(frozen=True)
class Definition:
    """A flag as it stands. `derived` flags follow from the migration: `met` is what was derived, `basis` from what."""

    name: str
    kind: Kind = "user"
    percentage: Decimal = Decimal(0)
    group: str = ""
    salt: str = ""
    killed: bool = False
    requires: tuple[str, ...] = ()
    targets: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    waves: frozenset[str] = frozenset()
    derived: bool = False
    met: bool = False
    basis: str = ""


@dataclass(frozen=True)
class Decision:
    """`on`, and the one reason that decided, in words for an operator."""

    on: bool
    why: str


def decide(flags: Mapping[str, Definition], name: str, subject: Subject) -> Decision:
    """Killed? Every prerequisite on for this same subject? Excluded? Targeted, in a wave, or under the percentage?

    A flag nobody has defined is off.
    """
    flag = flags.get(name)
    if flag is None:
        return Decision(False, f"No flag is called {name}.")
    if flag.killed:
        return Decision(False, f"{name} is killed.")
    if flag.derived:
        return Decision(flag.met, f"{'On' if flag.met else 'Off'}: {flag.basis or 'not derived yet'}")
    for required in flag.requires:
        before = decide(flags, required, subject)
        if not before.on:
            return Decision(False, f"It requires {required}: {before.why}")
    names = {f"user:{subject.user}", f"tenant:{subject.tenant}"}
    if hit := sorted(names & flag.excluded):
        return Decision(False, f"{hit[0]} is excluded.")
    if hit := sorted(names & flag.targets):
        return Decision(True, f"{hit[0]} is targeted.")
    if subject.wave and subject.wave in flag.waves:
        return Decision(True, f"The tenant is in wave {subject.wave}.")
    id = subject.user if flag.kind == "user" else subject.tenant
    if not id:
        everybody = flag.percentage >= 100
        return Decision(everybody, "It is on for everybody." if everybody else f"No {flag.kind} is known.")
    place = bucket(flag.group or flag.name, flag.salt, flag.kind, id)
    on = covered(place, flag.percentage)
    return Decision(
        on,
        f"Its {flag.kind} is in bucket {place / 1000:.3f}, {'under' if on else 'not under'} {flag.percentage.normalize():f} %.",
    )


def cycle(requires: Mapping[str, Iterable[str]]) -> list[str]:
    """A chain of flags that require each other in a circle, or an empty list."""
    try:
        TopologicalSorter({name: list(found) for name, found in requires.items()}).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []
