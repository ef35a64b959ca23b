"""Expressions that only write a column in another way."""

from __future__ import annotations

import pytest

from migration_portal.plan.spelling import spelled


@pytest.mark.parametrize(
    "sql, column",
    [
        ("id", "id"), ("people.id", "id"), ("(id)", "id"), ('"Id"', "Id"), ("lower(id)", "id"), ("LOWER ( p.id::text )", "id"),
        ("lower_role", "lower_role"), ("lowercase", "lowercase"), ("lowered::text", "lowered"), ("user$id", "user$id"),
        ("upper(id)", ""), ("id || 'x'", ""), ("id + 1", ""),
    ],
)  # fmt: skip
def test_the_column_that_it_is(sql: str, column: str) -> None:
    assert spelled(sql) == column
