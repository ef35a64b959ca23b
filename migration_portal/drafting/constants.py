"""What a draft puts where legacy has nothing. Pure."""

from __future__ import annotations

import uuid

from migration_portal.drafting.conversion import literal
from migration_portal.drafting.evidence import Evidence
from migration_portal.drafting.model import Draft, Line
from migration_portal.drafting.pairing import needs_value
from migration_portal.plan.model import ColumnInfo

ORGANIZATION = str(uuid.uuid5(uuid.NAMESPACE_URL, "urn:sigma-transit:organization"))
"""Of a legacy without tenants: the one that all its users belong to."""
ITS_UUID = f"{literal(ORGANIZATION)}::uuid"
CHOOSE = 0.2, "it must be filled, and nothing tells with what: choose"
"""How certain a constant is, and why."""


def organization(found: Draft, iam: Evidence) -> dict[str, list[Line]]:
    """The row of the one tenant, where legacy has none."""
    if not any(line.sql == ITS_UUID for table in found.tables for line in table.lines):
        return {}
    info, said = iam.tables["tenants"], {"name": "'Our organization'", "slug": "'ours'"}
    lines = [Line(info.primary_key[0], literal(ORGANIZATION), 0.9, "the one tenant of all users")]
    lines += [
        Line(name, said.get(name, constant(column)), 0.3, "choose it")
        for name, column in info.columns.items()
        if (needs_value(info, name) or name in said) and name not in info.primary_key
    ]
    return {"tenants": lines}


def constant(column: ColumnInfo) -> str:
    if column.type == "boolean":
        return "false"
    if column.type in ("smallint", "integer", "bigint", "numeric"):
        return "0"
    if column.type.startswith(("timestamp", "date")):
        return "now()"
    if column.type in ("json", "jsonb"):
        return "'{}'"
    return "''"
