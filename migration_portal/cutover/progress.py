"""How far waves are: what moved, what was blocked and why, and what is left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from flags.models import TenantHome
from migration_portal.cutover.models import UNDER_WAY, Cutover, Wave

_RECENT = 20
_BREAK = timedelta(seconds=30)
"""Between two moves: the wave waited, or was paused."""


@dataclass(frozen=True)
class Progress:
    """Of a wave: tenants moved, on their way, blocked and stopped, of all; seconds left at the pace of its last moves, if any."""

    all: int
    moved: int
    under_way: int
    blocked: int
    stopped: int
    seconds_left: int | None

    @property
    def fraction(self) -> float:
        return (self.all - self.under_way) / self.all if self.all else 0.0


def of(wave: Wave) -> Progress:
    """Its tenants by where they live, and those in legacy by their latest move of the wave."""
    return of_each([wave])[wave.pk]


def of_each(waves: Sequence[Wave]) -> dict[int, Progress]:
    """The same by the waves' keys, asked once for all of them."""
    homes: dict[int, dict[str, str]] = defaultdict(dict)
    there = Wave.tenants.through.objects.filter(wave__in=waves)
    for wave, tenant, home in there.values_list("wave_id", "tenanthome_id", "tenanthome__home"):
        homes[wave][tenant] = home
    names = {wave.name: wave.pk for wave in waves}
    states: dict[int, dict[str, str]] = defaultdict(dict)
    latest_of_each = (
        Cutover.objects.filter(wave__in=names).order_by("wave", "tenant_id", "-id").distinct("wave", "tenant_id")
    )
    for name, tenant, state in latest_of_each.values_list("wave", "tenant_id", "state"):
        states[names[name]][tenant] = state
    return {wave.pk: _progress(wave, homes[wave.pk], states[wave.pk]) for wave in waves}


def _progress(wave: Wave, homes: dict[str, str], states: dict[str, str]) -> Progress:
    counts = Counter(states.get(tenant) for tenant, home in homes.items() if home == TenantHome.Home.LEGACY)
    on_their_way = sum(counts[state] for state in UNDER_WAY)
    return Progress(
        all=len(homes), moved=len(homes) - counts.total(), under_way=on_their_way, blocked=counts[Cutover.State.BLOCKED],
        stopped=counts[Cutover.State.STOPPED], seconds_left=_seconds_left(wave, on_their_way),
    )  # fmt: skip


def _seconds_left(wave: Wave, moves: int) -> int | None:
    """Nothing where nobody can tell: before some of its moves have ended since it went on last, and while it waits."""
    if not moves or not wave.runs:
        return None
    ended = Cutover.objects.filter(wave=wave.name, finished_at__isnull=False).order_by("-finished_at")
    times = [each.finished_at for each in ended[: _RECENT + 1] if each.finished_at]
    gaps: list[timedelta] = []
    for later, earlier in pairwise(times):
        if later - earlier > max(_BREAK, 10 * sum(gaps, timedelta()) / max(len(gaps), 1)):
            break
        gaps.append(later - earlier)
    if len(gaps) < 2:
        return None
    pace = sum(gaps, timedelta()) / len(gaps)
    return round(max(pace, timedelta(milliseconds=1)).total_seconds() * moves)


def latest(wave: Wave) -> dict[str, Cutover]:
    """Each tenant's latest move of the wave."""
    moves = Cutover.objects.filter(wave=wave.name).order_by("tenant_id", "-id").distinct("tenant_id")
    return {move.tenant_id: move for move in moves.select_related("tenant")}


def blocked(wave: Wave) -> list[Cutover]:
    """The moves of tenants in legacy that were blocked last, with why, newest first."""
    found = [
        move for move in latest(wave).values()
        if move.state == Cutover.State.BLOCKED and move.tenant.home == TenantHome.Home.LEGACY
    ]  # fmt: skip
    return sorted(found, key=lambda move: -move.pk)


def reasons(moves: Iterable[Cutover]) -> list[tuple[str, int]]:
    """Why, with how many, most first; what differs between tenants only by their names is one reason."""
    return Counter(move.error.partition(f"{move.tenant}: ")[2] or move.error for move in moves).most_common()
