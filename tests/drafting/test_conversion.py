"""The SQL of conversions: there and back again on a real server."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from migration_portal.drafting.conversion import convert
from migration_portal.plan.model import ColumnInfo
from tests.servers import SERVER

Row = tuple[str, str, list[Any], str, list[Any], tuple[str, ...]]

TRIPS = [
    # Type, values, the IAM's type, what it shows of them, what it allows.
    ("text", ["6a0c0000-0000-4000-8000-00000000000a"], "uuid", ["6a0c0000-0000-4000-8000-00000000000a"], ()),
    ("bigint", [1600000000123], "timestamp with time zone", ["2020-09-13 12:26:40.123+00"], ()),
    ("integer", [1600000000], "timestamp with time zone", ["2020-09-13 12:26:40+00"], ()),
    ("date", ["2020-01-02"], "timestamp with time zone", ["2020-01-02 00:00:00+00"], ()),
    ("timestamp without time zone", ["2020-01-02 03:04:05"], "timestamp with time zone", ["2020-01-02 03:04:05+00"], ()),
    ("integer", [0, 1, None], "boolean", ["false", "true", None], ()),
    ("text", ["Y", "N", "Y", "N", None], "boolean", ["true", "false", "true", "false", None], ()),
    ("text", ["ACTIVE", "BLOCKED"] * 2, "boolean", ["true", "false"] * 2, ()),
    ("text", ["PUBLIC", "Private"] * 2, "text", ["public", "private"] * 2, ("public", "private")),
    ("text", ['{"a": 1}'], "jsonb", ['{"a": 1}'], ()),
    ("text", ["12", "13"], "integer", ["12", "13"], ()),
    ("integer", [7], "text", ["7"], ()),
    ("numeric", ["1.5"], "double precision", ["1.5"], ()),
]  # fmt: skip


def _column(type: str, name: str = "was") -> ColumnInfo:
    return ColumnInfo(name, type, not_null=False, has_default=False, portable=type)


def _converted(server: Any, sql: str, type: str, values: list[Any], over: str) -> list[str | None]:
    query = f"SELECT (({sql.replace('{0}', 'v')})::{type})::text FROM unnest(%s::text[]) AS t, LATERAL (SELECT t::{over} AS v) AS s"
    return [row[0] for row in server.execute(query, [[None if value is None else str(value) for value in values]])]


@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: f"{trip[0]}-{trip[2]}")
def test_values_go_there_and_back(trip: Any) -> None:
    type, given, target, shown, allowed = trip
    way = convert(_column(type), [None if value is None else str(value) for value in given], _column(target), allowed)
    assert way is not None and way.back is not None
    with psycopg.connect(SERVER, options="-c timezone=UTC") as server:
        there = _converted(server, way.there, target, given, type)
        assert [value for value, wanted in zip(there, shown, strict=True) if wanted] == [
            value for value in shown if value
        ]
        assert _converted(server, way.back, type, there, target) == [
            None if value is None else str(value) for value in given
        ]


def test_a_column_that_says_the_opposite_is_turned_round() -> None:
    way = convert(_column("boolean", "disabled"), ["true"], _column("boolean"))
    assert way is not None and (way.there, way.back) == ("NOT {0}", "NOT {0}")


def test_numbers_stay_numbers_of_the_plans_own() -> None:
    way = convert(_column("integer"), ["1", "2"], _column("uuid"))
    assert way is not None and way.number


def test_ids_that_are_no_uuids_have_no_way_back() -> None:
    way = convert(_column("text"), ["alpha", "beta"], _column("uuid"))
    assert way is not None and way.back is None and way.certainty < 0.75


@pytest.mark.parametrize(
    ("type", "target"), [("bytea", "boolean"), ("boolean", "uuid"), ("jsonb", "timestamp with time zone")]
)
def test_what_cannot_become_the_other_is_not_converted(type: str, target: str) -> None:
    assert convert(_column(type), ["x"], _column(target)) is None
