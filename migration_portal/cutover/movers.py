"""The sessions of moves, opened once for many: a move alone would spend most of its time connecting."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from flags import homes
from flags.models import TenantHome
from migration_portal import databases
from migration_portal.catchup.flows import forward, reverse, start_reverse
from migration_portal.engine.catchup.flow import Flow
from migration_portal.engine.transfer import Transfer
from migration_portal.runs.connections import open_transfer, still_ours
from migration_portal.runs.models import Run

_LOCK_TIMEOUT = "8s"


@dataclass(frozen=True)
class Sessions:
    """For moves in one direction. `ahead` is the forward transfer, `back` leads back, `flow` is that of the move, `against` the
    other one; `old` and `new` are sessions on the side that owns the tenants now, and on the other."""

    ahead: Transfer
    back: Flow
    flow: Flow
    against: Flow
    old: psycopg.Connection[Any]
    new: psycopg.Connection[Any]

    @property
    def all(self) -> list[psycopg.Connection[Any]]:
        """Each once."""
        found = []
        for transfer in (self.ahead, self.back.transfer, self.flow.transfer, self.against.transfer):
            found += [transfer.source, transfer.target, transfer.queue]
        for flow in (self.back, self.flow, self.against):
            found += [flow.queue, flow.ledger]
        found += [self.old, self.new]
        return list({id(session): session for session in found if session is not None}.values())


class Mover:
    """Makes moves one after the other, with sessions that are kept while they go well and run, plan and direction are the same."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._kept: tuple[tuple[object, ...], Sessions] | None = None

    def sessions(self, run: Run, home: str) -> Sessions:
        """For a move to this home. Raises Refusal, psycopg.Error; then everything is closed."""
        try:
            wanted = (run.pk, run.plan_text, run.found, home)  # a plan may be revised between two moves
            if self._kept is None or self._kept[0] != wanted:
                self.close()
                self._kept = (wanted, self._open(run, home))
            kept = self._kept[1]
            still_ours(kept.ahead)
            if home == TenantHome.Home.IAM:
                start_reverse(kept.ahead)
            return _asked_anew(kept)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget the sessions: after whatever went wrong, the next move begins with new ones."""
        self._kept = None
        self._stack.close()

    def _open(self, run: Run, home: str) -> Sessions:
        to_iam, open_ = home == TenantHome.Home.IAM, self._stack.enter_context
        ahead = open_(open_transfer(run, "cut over"))
        back = open_(reverse(run, "share"))
        flow = open_((forward if to_iam else reverse)(run, "cut over"))
        against = back if to_iam else open_(forward(run, "look"))
        legacy, iam = open_(databases.legacy_writable("hold")), open_(databases.iam("hold"))
        made = Sessions(ahead, back, flow, against, *((legacy, iam) if to_iam else (iam, legacy)))
        for session in made.all:
            # With all attempts, an operator is told within half a minute that something is locked.
            session.execute("SELECT set_config('lock_timeout', %s, false)", [_LOCK_TIMEOUT])
        return made


def _asked_anew(kept: Sessions) -> Sessions:
    """Where tenants live now: moves were made since the sessions were opened."""
    now = homes.in_iam()

    def of(flow: Flow) -> Flow:
        return replace(flow, transfer=replace(flow.transfer, in_iam=now))

    return replace(
        kept, ahead=replace(kept.ahead, in_iam=now), back=of(kept.back), flow=of(kept.flow), against=of(kept.against)
    )
