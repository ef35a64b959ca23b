"""Continuous verification: keys that catch-up has touched are compared again, once nothing about them is waiting."""

from __future__ import annotations

from collections.abc import Sequence

from migration_portal.engine import capture_queue
from migration_portal.engine.queries import queries
from migration_portal.engine.source import Key, in_target
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import rows, tables, tenants
from migration_portal.plan import directions
from migration_portal.plan.model import Table


def recheck(transfer: Transfer, number: int) -> tuple[int, int]:
    """Compare the oldest batch of touched keys; `number` is the verification that findings belong to.

    Returns (keys compared, rows that differ). Keys with a change still waiting stay touched.
    """
    assert transfer.queue is not None
    row = transfer.target.execute(queries("continuous")["next"], {"run": transfer.run}).fetchone()
    if row is None:
        return 0, 0
    identifier, source, texts = row
    parsed = transfer.target.execute(queries("continuous")["keys"], {"texts": texts}).fetchall()
    written = {tuple(key): text for (key,), text in zip(parsed, texts, strict=True)}
    keys = list(written)
    differences = tenants.compare_keys(transfer, source, keys)
    different = 0
    later: list[str] = []
    if differences:
        # Read once more, before what waits: a change between the two reads has been captured by then. The other way is
        # followed by another process, which may bring a row back meanwhile: that is asked before, too.
        waiting = _flowing_back(transfer, source, keys)
        again = tenants.compare_keys(transfer, source, keys)
        waiting |= _waiting(transfer, source, keys) | _flowing_back(transfer, source, keys)
        later = [text for key, text in written.items() if key in waiting]
        for target, differing in again.items() if len(later) < len(keys) else ():
            table, known = transfer.table(target), differences.get(target, [])
            made = _made_of(transfer, table, keys)
            unsettled = {target for target, twins in made.items() if waiting & twins}
            lasting = [each for each in differing if each in known and each.key not in unsettled]
            rows.record(transfer, table, number, lasting)
            different += len(lasting)
            # What differs otherwise than a moment ago is being written: it is asked again.
            changing = {twin for each in differing if each not in lasting for twin in made.get(each.key, ())}
            later = sorted({*later, *(written[key] for key in changing)})
    transfer.target.execute(queries("continuous")["settled"], {"id": identifier, "later": later})
    return len(keys) - len(later), different


def touched(transfer: Transfer) -> int:
    """How many keys wait to be compared again."""
    row = transfer.target.execute(queries("continuous")["count"], {"run": transfer.run}).fetchone()
    return int(row[0]) if row else 0


def _waiting(transfer: Transfer, source: str, keys: Sequence[Key]) -> set[Key]:
    """Those of which a change waits to be applied: all while any entry is fresh."""
    assert transfer.queue is not None
    lag = capture_queue.lag(transfer.queue)
    return set(keys) if lag.entries > lag.retrying else capture_queue.waiting(transfer.queue, source, keys)


def _flowing_back(transfer: Transfer, source: str, keys: Sequence[Key]) -> set[Key]:
    """Those of which something was written in the IAM that has not come back yet."""
    back: set[Key] = set()
    for table in transfer.plan.siblings(source) if transfer.in_iam else ():
        made = _made_of(transfer, table, keys)
        back |= {twin for key in tables.flowing_back(transfer, table, made.keys()) for twin in made[key]}
    return back


def _made_of(transfer: Transfer, table: Table, keys: Sequence[Key]) -> dict[Key, set[Key]]:
    """The target's key → the source's, which may be two ways to write one; for tables whose whole key follows from the source's."""
    columns = transfer.info(table).primary_key
    owner = [column.name for column in directions.owner(table, transfer.source_catalog, transfer.target_catalog)]
    if len(owner) < len(columns):
        return {}
    places = [owner.index(name) for name in columns]
    with transfer.source.transaction():
        made = in_target(transfer, table, keys)
    found: dict[Key, set[Key]] = {}
    for target, key in made:
        found.setdefault(tuple(target[place] for place in places), set()).add(key)
    return found
