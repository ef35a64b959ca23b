"""Key ranges are half-open, disjoint, and cover everything: asked of a real server."""

import contextlib
import uuid
from itertools import pairwise

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL

from migration_portal.plan.compile import key_range
from migration_portal.plan.loader import NOT_UUID
from tests.servers import SERVER

texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=6)


@settings(max_examples=40, deadline=None)
@given(keys=st.sets(texts, max_size=30), bounds=st.sets(texts, max_size=5))
def test_ranges_between_bounds_hold_every_key_once(keys: set[str], bounds: set[str]) -> None:
    with psycopg.connect(SERVER) as connection:
        connection.execute("CREATE TEMP TABLE t (id text)")
        connection.cursor().executemany("INSERT INTO t VALUES (%s)", [(key,) for key in keys])
        ordered = [
            row[0] for row in connection.execute("SELECT x FROM unnest(%s::text[]) AS x ORDER BY x", [list(bounds)])
        ]
        edges = [None, *((bound,) for bound in ordered), None]
        found = [
            row[0]
            for lower, upper in pairwise(edges)
            for row in connection.execute(SQL("SELECT id FROM t WHERE {}").format(key_range(["id"], lower, upper)))
        ]
    assert sorted(found) == sorted(keys)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.uuids().map(str),
        st.uuids().map(lambda u: str(u).upper()),
        st.uuids().map(lambda u: u.hex),
        st.text("0123456789abcdefABCDEFg-", min_size=34, max_size=38),
        st.uuids().map(lambda u: str(u).replace("a", "-", 1)),
        texts,
    )
)
def test_text_that_passes_the_uuid_rule_can_be_cast(value: str) -> None:
    with psycopg.connect(SERVER) as connection:
        query = f"SELECT {NOT_UUID.format('v')} FROM (VALUES (%s::text)) AS t(v)".replace("%-", "%%-").replace(
            "-%'", "-%%'"
        )
        rejected = connection.execute(query, [value]).fetchone()[0]
        if not rejected:
            connection.execute("SELECT %s::text::uuid", [value])
        elif len(value) == 36:
            with contextlib.suppress(ValueError):
                assert str(uuid.UUID(value)) != value.lower()
