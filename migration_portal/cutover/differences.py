"""Rows of a tenant that differ between the two systems: they keep it from being moved, unless a stray write explains them."""

from __future__ import annotations

from collections.abc import Sequence

from flags.models import TenantHome
from migration_portal.cutover.models import Stray
from migration_portal.engine.source import Key, Named, in_target
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify.rows import Difference
from migration_portal.plan import directions
from migration_portal.plan.model import Table
from migration_portal.refusal import Refusal

Differences = dict[str, list[Difference]]
_SHOWN = 5


def require_none(differences: Differences, tenant: TenantHome) -> None:
    """Raises Refusal, which names some of them."""
    if differences:
        named = ", ".join(f"{table} {'/'.join(d.key)}" for table, rows in differences.items() for d in rows[:_SHOWN])
        count = sum(len(rows) for rows in differences.values())
        raise Refusal(
            f"{count} of its rows differ between the two systems ({named}).", subject=str(tenant),
            todo="Nothing has changed. Look at these rows on both sides, then verify again.",
        )  # fmt: skip


def unlisted(differences: Differences, transfer: Transfer, tenant: TenantHome) -> Differences:
    """Those that no undecided stray write of the tenant explains, by target table; the transfer is the forward one."""
    left = {}
    for table in transfer.plan.tables:
        rows = differences.get(table.target, [])
        owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
        places = [transfer.info(table).primary_key.index(column.name) for column in owner]
        known = Named(_listed(transfer, table, tenant, places) if rows else [])
        if rest := [row for row in rows if [row.key[place] for place in places] not in known]:
            left[table.target] = rest
    return left


def _listed(transfer: Transfer, table: Table, tenant: TenantHome, places: Sequence[int]) -> list[Key]:
    """What the keys of the rows that were written astray have at these places."""
    about = Stray.objects.filter(run=transfer.run, state="open", tenant__in=[tenant.tenant, tenant.legacy_tenant])
    in_iam = about.filter(direction="reverse", table_name=table.target).values_list("key", flat=True)
    in_legacy = about.filter(direction="forward", table_name=table.source).values_list("key", flat=True)
    keys = [tuple(key[place] for place in places) for key in in_iam]
    if in_legacy:
        with transfer.source.transaction():
            keys += [target for target, _ in in_target(transfer, table, list(in_legacy))]
    return keys
