"""A dry run of a move: everything that a move would meet, and nothing changed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flags.models import TenantHome
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover.blockers import blockers, impact
from migration_portal.cutover.differences import unlisted
from migration_portal.cutover.models import Cutover
from migration_portal.engine import capture, capture_queue
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import tenants
from migration_portal.refusal import Refusal
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run

_HOLDS = 100


@dataclass(frozen=True)
class Would:
    """What moving a tenant to `home` would meet. `hold_ms` is what the last moves held theirs for: median and longest, if any."""

    tenant: TenantHome
    home: str
    blockers: list[str]
    users: int
    licences: int
    waiting: int
    differing: dict[str, int]
    hold_ms: tuple[int, int] | None

    @property
    def goes(self) -> bool:
        return not self.blockers and not self.differing

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        about = {
            name: getattr(self, name) for name in ("home", "blockers", "users", "licences", "waiting", "differing")
        }
        return {"tenant": self.tenant.pk, "name": self.tenant.name, "goes": self.goes, **about, "hold_ms": self.hold_ms}


def dry_run(chosen: Sequence[TenantHome], home: str) -> Iterator[Would]:
    """For each tenant. Raises Refusal when no run captures; DatabaseUnreachable, psycopg.Error."""
    run = captured_run()
    if run is None:
        raise Refusal("No run captures changes.", subject="dry run", todo="Start a run with capture.")
    with open_transfer(run, "dry run of a move") as transfer:
        for tenant in chosen:
            yield _would(tenant, home, transfer, run)


def _would(tenant: TenantHome, home: str, transfer: Transfer, run: Run) -> Would:
    about = impact(tenant, transfer, run)
    to_iam = home == TenantHome.Home.IAM
    source = transfer.queue if to_iam else transfer.target
    own = tenant.legacy_tenant if to_iam else tenant.tenant
    assert source is not None
    waiting = capture_queue.of_tenant(source, own).waiting if capture.installed(source) else 0
    # What waits to be applied differs rightly: it would be drained first.
    differences = {} if waiting else tenants.compare_tenant(transfer, tenant.legacy_tenant, tenant.tenant)
    if not to_iam:
        differences = unlisted(differences, transfer, tenant)
    counts = {table: len(rows) for table, rows in differences.items()}
    return Would(
        tenant,
        home,
        blockers(tenant, home, transfer, run),
        about.users,
        about.licences,
        waiting,
        counts,
        _expected(home),
    )


def _expected(home: str) -> tuple[int, int] | None:
    held = Cutover.objects.filter(home=home, hold_ms__isnull=False).values_list("hold_ms", flat=True)[:_HOLDS]
    times = [float(each) for each in held if each is not None]
    return (round(statistics.median(times)), round(max(times))) if times else None
