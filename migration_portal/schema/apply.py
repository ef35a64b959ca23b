"""Apply and roll back the IAM's schema scripts, on the record."""

from __future__ import annotations

import re

from django.conf import settings
from django.db import transaction

from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.refusal import require_reason
from migration_portal.schema import scripts

DIRECTORY = settings.BASE_DIR / "iam" / "schema"


def own_triggers() -> list[str]:
    """Names of the triggers that are part of the IAM's schema: they know what a copy is."""
    text = "".join(script.up for script in scripts.read(DIRECTORY))
    return re.findall(r"^CREATE TRIGGER (\w+)", text, flags=re.MULTILINE)


def apply(*, by: str) -> list[str]:
    """Apply every script that is not applied yet. Returns their names. Raises ScriptTampered, ScriptFailed."""
    applied: list[str] = []
    with databases.iam("schema") as iam:
        for script in scripts.read(DIRECTORY):
            # One at a time, so that what was applied before a failure is on the record, too. The portal's commits first: two
            # databases, and nothing must happen that is not on record.
            with iam.transaction(), transaction.atomic():
                if scripts.apply(iam, [script], by=by):
                    applied.append(script.name)
                    data = {"script": script.name, "checksum": script.checksum}
                    chain.record("apply_script", object_type="script", object_id=script.name, by=by, data=data)
    return applied


def roll_back(*, by: str, reason: str, to: str | None = None) -> list[str]:
    """Roll scripts back in reverse order, down to but not including `to`: all of them, or none. Returns their names.

    Raises Refusal without a reason, ScriptFailed when rows or values would be lost.
    """
    require_reason(reason, to="Rolling the schema back")
    with databases.iam("schema") as iam, iam.transaction(), transaction.atomic():
        names = scripts.roll_back(iam, scripts.read(DIRECTORY), to=to)
        for name in names:
            chain.record(
                "roll_back_script", object_type="script", object_id=name, by=by, reason=reason, data={"script": name}
            )
    return names
