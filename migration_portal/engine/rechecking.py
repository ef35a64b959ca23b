"""Continuous verification: keys that catch-up has touched are compared again, once nothing about them is waiting."""

from __future__ import annotations

from collections.abc import Sequence

from migration_portal.engine import capture, tenants, verification
from migration_portal.engine.queries import queries
from migration_portal.engine.sides import Sides

_MOST = 2000


def recheck(sides: Sides, number: int) -> tuple[int, int]:
    """Compare some touched keys on both sides; `number` is the verification that findings belong to.

    Returns (keys compared, rows found different). Keys with a change still waiting stay touched.
    """
    assert sides.queue is not None
    about = {"run": sides.run, "most": _MOST}
    chosen: dict[str, list[tuple[str, ...]]] = {}
    texts: dict[str, dict[tuple[str, ...], str]] = {}
    for source, key, written in sides.iam.execute(queries("rechecking")["some"], about).fetchall():
        chosen.setdefault(source, []).append(tuple(key))
        texts.setdefault(source, {})[tuple(key)] = written
    compared = different = 0
    for source, keys in chosen.items():
        differences = tenants.compare_keys(sides, source, keys)
        waiting = _waiting(sides, source, keys)
        if differences and not waiting and capture.lag(sides.queue).entries == 0:
            # Looked at once more: what was written between the two reads has been captured by now.
            again = tenants.compare_keys(sides, source, keys)
            for target, found in again.items():
                lasting = [difference for difference in found if difference in differences.get(target, [])]
                if lasting and capture.lag(sides.queue).entries == 0:
                    verification.record(sides, sides.table(target), number, lasting)
                    different += len(lasting)
        elif differences:
            continue  # in flight: asked again at the next look
        settled = [key for key in keys if key not in waiting]
        settled_texts = [written for key, written in texts[source].items() if key in set(settled)]
        sides.iam.execute(queries("rechecking")["settled"], {"run": sides.run, "source": source, "keys": settled_texts})
        compared += len(settled)
    return compared, different


def touched(sides: Sides) -> int:
    """How many keys wait to be compared again."""
    row = sides.iam.execute(queries("rechecking")["count"], {"run": sides.run}).fetchone()
    return int(row[0]) if row else 0


def _waiting(sides: Sides, source: str, keys: Sequence[tuple[str, ...]]) -> set[tuple[str, ...]]:
    assert sides.queue is not None
    found = sides.queue.execute("SELECT DISTINCT key FROM portal_capture.queue WHERE table_name = %s", [source])
    return {tuple(row[0]) for row in found if row[0]} & set(keys)
