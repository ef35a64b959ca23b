"""Whether the capability model is what the rows of a run ask for: each of the six steps, recomputed by a query of its own."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import capabilities
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import belonging
from migration_portal.plan.derived import READS, TABLES

_TENANTS, _FEATURES, _USERS = (table.target for table in TABLES)
_RIGHT = {
    "capability_defaults": ("Every tenant has each capability that the system offers.", {_TENANTS}),
    "capability_token_lifetimes": ("Token lifetimes of every tenant's settings are in its capabilities.", {_TENANTS}),
    "capability_mfa": ("Every tenant that requires MFA has the capability.", {_TENANTS}),
    "feature_mfa": (
        "The feature MFA is on for the tenants that require it and have it, and for no others.", {_TENANTS, _FEATURES},
    ),
    "user_mfa": ("Every user with MFA is enrolled, and nobody else.", {_USERS}),
    "user_totp": ("Every user with an MFA secret is enrolled for one-time codes, and nobody else.", {_USERS}),
}  # fmt: skip
"""What is right, and the derived tables that it is about: where this run derives no such rows, nothing is asked."""


def wrong(transfer: Transfer) -> Iterator[tuple[str, str, list[str]]]:
    """Per step of the run's derived tables: its name, what is right, and the ids of the tenants or users that are not so."""
    tables = capabilities.prepared(transfer)
    names = {table.target for table in tables}
    if not tables:
        return
    planned = {table.target for table in transfer.plan.tables}
    schema = transfer.plan.target_schema
    parts: dict[str, Composable] = {
        name: SQL("{}").format(Identifier(transfer.schema if name in planned else schema, name))
        for name in [*READS, *names]
    }
    for name in names:
        ours = queries("capability_checks")["ours"].format(table=Literal(name))
        parts[f"ours_{name}"] = ours
    for owner, column in (("tenant", "id"), ("user", "tenant_id")):
        tenant = SQL("lower(t.{}::text)").format(Identifier(column))
        here = belonging.at_home(tenant, transfer.in_iam, by_default=True)
        deleted = "deleted_at" in transfer.target_catalog[f"{owner}s"].columns
        parts[f"{owner}_here"] = SQL("{} AND t.deleted_at IS NULL").format(here) if deleted else here
    for name, (right, about) in _RIGHT.items():
        if about <= names:
            statement = queries("capability_checks")[name]
            yield name, right, [row[0] for row in transfer.target.execute(statement.format(**parts))]
