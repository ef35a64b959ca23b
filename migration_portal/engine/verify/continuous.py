"""Continuous verification: keys that catch-up has touched are compared again, once nothing about them is waiting."""

from __future__ import annotations

from migration_portal.engine import capture_queue
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import rows, tenants


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
        # Read once more after what waits: a change between the two reads has been captured by then.
        again = tenants.compare_keys(transfer, source, keys)
        waiting = _waiting(transfer, source)
        if waiting or capture_queue.lag(transfer.queue).entries:
            later = [text for key, text in written.items() if key in waiting] or texts
        else:
            for target, differing in again.items():
                lasting = [difference for difference in differing if difference in differences.get(target, [])]
                rows.record(transfer, transfer.table(target), number, lasting)
                different += len(lasting)
    transfer.target.execute(queries("continuous")["settled"], {"id": identifier, "later": later})
    return len(keys) - len(later), different


def touched(transfer: Transfer) -> int:
    """How many keys wait to be compared again."""
    row = transfer.target.execute(queries("continuous")["count"], {"run": transfer.run}).fetchone()
    return int(row[0]) if row else 0


def _waiting(transfer: Transfer, source: str) -> set[tuple[str, ...]]:
    assert transfer.queue is not None
    captured = transfer.queue.execute(queries("queue")["captured_keys"], {"table": source})
    return {tuple(row[0]) for row in captured}
