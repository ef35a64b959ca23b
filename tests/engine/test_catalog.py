"""How a schema differs from what a run began with."""

from __future__ import annotations

from migration_portal.engine.catalog import drift
from migration_portal.plan.model import ColumnInfo, TableInfo


def table(of: str, **columns: str) -> TableInfo:
    found = {
        column: ColumnInfo(column, kind, not_null=False, has_default=False, full_type=kind)
        for column, kind in columns.items()
    }
    return TableInfo(of, found, ("id",))


BEFORE = {"users": table("users", id="uuid", name="text"), "plans": table("plans", id="uuid")}


def test_new_gone_and_other_columns_are_named() -> None:
    now = {"users": {"id": "text", "phone": "text"}, "plans": {"id": "uuid"}}
    assert drift(BEFORE, now, ["users", "plans", "users"]) == [
        "users.phone is new", "users.name is gone", "users.id is text now, it was uuid",
    ]  # fmt: skip


def test_a_table_that_is_gone_is_named_once() -> None:
    now = {"users": {"id": "uuid", "name": "text"}}
    assert drift(BEFORE, now, ["plans", "users"]) == ["table plans is gone"]
