"""Rows that the IAM derives from what a plan brings: the capability model. Pure.

Each is a `Table` whose source is a table of the IAM itself; the SQL that derives it stands in engine/sql/capabilities.sql.
"""

from __future__ import annotations

from migration_portal.plan.model import Catalog, Column, Plan, Table

_KEPT = {"enrolled_at"}
"""Written with a row, and never again: when somebody enrolled is not when their row was changed last."""


def _table(owner: str, target: str, *columns: str) -> Table:
    mapped = tuple(Column(name, name, default=name in _KEPT) for name in columns)
    return Table(source=owner, target=target, key=("id",), columns=mapped)


TABLES = (
    _table("tenants", "tenant_capabilities", "tenant_id", "capability_key", "enabled", "value"),
    _table("tenants", "tenant_feature_enablement", "tenant_id", "feature_key", "enabled"),
    _table("users", "user_capability_state", "user_id", "capability_key", "enrolled", "state_data", "enrolled_at"),
)
"""In the order in which they are filled: a feature needs its capability."""

READS = {
    "tenants": {"id"},
    "tenant_settings": {
        "tenant_id", "mfa_required", "access_token_ttl_minutes", "refresh_token_ttl_days", "id_token_ttl_minutes",
        "remember_me_enabled", "remember_me_refresh_token_ttl_days", "remember_me_access_token_ttl_minutes",
    },
    "users": {"id", "tenant_id", "mfa_enabled", "mfa_secret_encrypted", "created_at", "updated_at"},
    "system_capabilities": {"capability_key", "enabled"},
}  # fmt: skip
"""What deriving asks of the IAM's tables."""

CHANGES = {"tenants": "id", "tenant_settings": "tenant_id", "users": "id"}
"""Tables whose rows are derived from, and the column that names the owner of what is."""


def derived(plan: Plan, catalog: Catalog) -> tuple[Table, ...]:
    """The tables that this plan's rows lead to in this IAM; none where it has another capability model, or no tenants."""
    for name, columns in READS.items():
        if name not in catalog or not columns <= catalog[name].columns.keys():
            return ()
    filled = {table.target for table in plan.tables}
    return tuple(
        table
        for table in TABLES
        if table.source in filled
        and table.target not in filled
        and table.target in catalog
        and {column.name for column in table.columns} <= catalog[table.target].columns.keys()
        and catalog[table.target].primary_key == (table.columns[0].name, table.columns[1].name)
    )
