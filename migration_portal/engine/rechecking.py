"""Continuous verification: keys that catch-up has touched are compared again, once nothing about them is waiting."""

from __future__ import annotations

from migration_portal.engine import capture, tenants, verification
from migration_portal.engine.queries import queries
from migration_portal.engine.sides import Sides


def recheck(sides: Sides, number: int) -> tuple[int, int]:
    """Compare the oldest batch of touched keys; `number` is the verification that findings belong to.

    Returns (keys compared, rows found different). Keys with a change still waiting stay touched.
    """
    assert sides.queue is not None
    row = sides.iam.execute(queries("rechecking")["next"], {"run": sides.run}).fetchone()
    if row is None:
        return 0, 0
    identifier, source, texts = row
    found = sides.iam.execute(queries("rechecking")["keys"], {"texts": texts}).fetchall()
    written = {tuple(key): text for (key,), text in zip(found, texts, strict=True)}
    keys = list(written)
    differences = tenants.compare_keys(sides, source, keys)
    different = 0
    later: list[str] = []
    if differences:
        # Read once more after what waits: a change between the two reads has been captured by then.
        again = tenants.compare_keys(sides, source, keys)
        waiting = _waiting(sides, source)
        if waiting or capture.lag(sides.queue).entries:
            later = [text for key, text in written.items() if key in waiting] or texts
        else:
            for target, rows in again.items():
                lasting = [difference for difference in rows if difference in differences.get(target, [])]
                verification.record(sides, sides.table(target), number, lasting)
                different += len(lasting)
    sides.iam.execute(queries("rechecking")["settled"], {"id": identifier, "later": later})
    return len(keys) - len(later), different


def touched(sides: Sides) -> int:
    """How many keys wait to be compared again."""
    row = sides.iam.execute(queries("rechecking")["count"], {"run": sides.run}).fetchone()
    return int(row[0]) if row else 0


def _waiting(sides: Sides, source: str) -> set[tuple[str, ...]]:
    assert sides.queue is not None
    found = sides.queue.execute("SELECT DISTINCT key FROM portal_capture.queue WHERE table_name = %s", [source])
    return {tuple(row[0]) for row in found if row[0]}
