"""Drift: the two schemas changed since the run began, and its plan does not know what of."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction

from migration_portal.audit import chain
from migration_portal.engine import catalog
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import directions
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run

_NEW, _GONE = " is new", " is gone"


def drift(run: Run, transfer: Transfer) -> str:
    """What changed, in a sentence with what to do; empty where nothing did. The transfer is the forward one."""
    if changes := _changes(run, transfer):
        return (
            f"The schemas changed since the run began ({'; '.join(changes)}). Put that into the plan and start a new run, "
            "or accept that it is left behind: manage.py portal accept_drift."
        )
    return ""


def accept_drift(run: Run, *, by: str, reason: str) -> str:
    """Leave behind what the plan does not map. Returns what that is. Raises Refusal: no reason, no drift, a mapped column gone."""
    require_reason(reason, to="Accepting drift", subject=str(run))
    with open_transfer(run, "drift") as transfer:
        changes = _changes(run, transfer)
        if not changes:
            raise Refusal("The schemas are as the run began with them.", subject=str(run))
        if gone := [change for change in changes if change.endswith(_GONE)]:
            raise Refusal(
                f"The run works with it: {'; '.join(gone)}.", subject=str(run),
                todo="Put it back, or undo the run and start one with a corrected plan.",
            )  # fmt: skip
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(accepted_drift=[*run.accepted_drift, *changes])
        chain.record("accept_drift", of=run, run=run.pk, by=by, reason=reason, data={"state": "; ".join(changes)[:500]})
    return "; ".join(changes)


def _changes(run: Run, transfer: Transfer) -> list[str]:
    """Those that nobody has accepted. A new column in the IAM takes nothing away from anybody."""
    plan = transfer.plan
    targets = [table.target for table in plan.tables]
    with transfer.source.transaction():
        source = catalog.types(transfer.source, plan.source_schema, plan.read)
    legacy = catalog.drift(transfer.source_catalog, source, plan.read)
    iam = catalog.drift(transfer.target_catalog, catalog.types(transfer.target, plan.target_schema, targets), targets)
    if run.capture:
        legacy += _no_longer_unique(transfer)
    changes = [f"legacy: {change}" for change in legacy]
    changes += [f"IAM: {change}" for change in iam if not change.endswith(_NEW)]
    return [change for change in changes if change not in run.accepted_drift]


def _no_longer_unique(transfer: Transfer) -> Iterator[str]:
    """Keys, and indexes that tell rows apart which the IAM would take for one, that are gone: changes would be others', too."""
    plan, remembered = transfer.plan, transfer.source_catalog
    with transfer.source.transaction():
        unique = catalog.unique_columns(transfer.source, plan.source_schema, plan.sources)
    for table in plan.tables:
        was, now = remembered[table.source].keys, unique.get(table.source, [])
        if any(key and set(key) <= set(table.key) for key in was) and not any(key <= set(table.key) for key in now):
            yield f"what makes the key of {table.source} unique{_GONE}"
    if resting := directions.kept_apart_by_indexes(plan, remembered, transfer.target_catalog):
        with transfer.source.transaction():
            source = catalog.read(transfer.source, plan.source_schema)
        for table in directions.no_longer_apart(resting, source, transfer.target_catalog):
            yield f"the unique index that tells rows of {table.source} apart{_GONE}"
