"""What beat sends, how often (seconds), and to the workers of which queue."""

from __future__ import annotations

from typing import Any

MESSAGE_SECONDS = 120
"""A message expires by the clock of the worker that takes it: later than the clocks of two hosts may differ, or a worker whose
clock is fast would take none."""
FOLLOW, OPERATE = "follow", "operate"
QUEUES = ("celery", FOLLOW, OPERATE)
"""The loops have workers of their own, and so has what takes its time: neither waits behind a run's chunks, nor they behind it."""
ROUTES = {
    **{f"{room}.*": {"queue": FOLLOW} for room in ("catchup", "cutover")},
    **{
        f"{room}.*": {"queue": OPERATE}
        for room in ("backups", "monitoring", "rollback", "rehearsal", "checkpoints", "notices")
    },
}


def _every(seconds: float, task: str, queue: str = "celery", *arguments: str) -> dict[str, Any]:
    expires = max(MESSAGE_SECONDS, seconds if seconds >= 3600 else 0)
    return {"task": task, "schedule": seconds, "args": arguments, "options": {"expires": expires, "queue": queue}}


BEAT = {
    "runs": _every(2, "runs.tick"),
    "catchup": _every(2, "catchup.tick", FOLLOW),
    "cutover": _every(5, "cutover.tick", FOLLOW),
    "users": _every(60, "cutover.count_users", FOLLOW),
    "features": _every(5, "features.derive"),
    "ramps": _every(30, "features.ramp"),
    "inventory": _every(10, "inventory.tick"),
    "keys": _every(3600, "iam.rotate_keys"),
    "request-log": _every(3600, "legacy_compat.forget_old"),
    "anchors": _every(3600, "audit.anchor"),
    "backups": _every(10, "backups.tick", OPERATE),
    "roll-up": _every(15, "monitoring.roll_up", OPERATE),
    "sample": _every(60, "monitoring.sample", OPERATE),
    "watch": _every(15, "monitoring.watch", OPERATE),
    "metrics": _every(3600, "monitoring.forget", OPERATE),
    "rehearsals": _every(10, "rehearsal.tick", OPERATE),
    "roll-backs": _every(2, "rollback.go_on", OPERATE),
    "judge": _every(15, "rollback.judge", OPERATE),
    "notices": _every(5, "notices.tick", OPERATE),
    "checkpoints": _every(300, "checkpoints.tick", OPERATE),
    **{f"beat-{queue}": _every(15, "monitoring.beat", queue, queue) for queue in QUEUES},
}
