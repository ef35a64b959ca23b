"""One portal at a time, and none that has forgotten a flip: a copy of it would overwrite what the IAM owns by now."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from psycopg import Connection

from migration_portal.engine import owner
from migration_portal.engine.owner import Owner, Schema
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Portal

_TODO = "Stop the other one. `manage.py portal adopt` lets this one take over: it reads the tenants' homes from the two databases."


class AnotherPortal(Refusal):
    """Another portal works on these databases."""


class PortalOutdated(Refusal):
    """This portal's own database is older than what it did: it was restored from a backup, or copied."""


def ours() -> Owner:
    """This portal's identity, made once, and its epoch."""
    portal, _ = Portal.objects.get_or_create(pk=1)
    return Owner(portal.key, portal.epoch)


def next_epoch() -> None:
    """Count a flip, in its transaction."""
    ours()
    Portal.objects.filter(pk=1).update(epoch=F("epoch") + 1)


def check(connection: Connection[Any], schema: Schema, subject: str, mine: Owner | None = None) -> None:
    """Sign the schema as ours, or make sure that it is; `mine` is `ours()` where it was just asked.

    Raises AnotherPortal, PortalOutdated.
    """
    there, mine = owner.read(connection, schema), mine or ours()
    if there is not None and there.portal != mine.portal:
        raise AnotherPortal(f"Another portal ({there.portal}) works on it.", subject=subject, todo=_TODO)
    if there is not None and there.epoch > mine.epoch:
        mine = ours()  # a flip may have been committed since we asked
        if there.epoch > mine.epoch:
            raise PortalOutdated(
                f"It has seen {there.epoch} moves of tenants, this portal's own database knows {mine.epoch}: "
                "it was restored from an earlier state, or is a copy.",
                subject=subject, todo=_TODO,
            )  # fmt: skip
    if there != mine:
        owner.write(connection, schema, mine)
