"""Whether two rows of the source could be one of the target: by words, types and unique indexes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migration_portal.plan.model import Column, ColumnInfo, Rule, Table, TableInfo, Unique
from migration_portal.plan.one_to_one import told_apart

TWIN = Rule(
    "twice", "people.id <> lower(people.id) AND (SELECT true FROM people AS twin WHERE twin.id = lower(people.id))"
)


def column(name: str, kind: str) -> ColumnInfo:
    plain = kind.partition("(")[0]
    return ColumnInfo(
        name,
        plain,
        True,
        False,
        kind,
        loose=plain in ("citext", "real", "double precision", "numeric") and plain == kind,
    )


def shown(
    sql: str, *keys: str, into: str = "uuid", unique: tuple[str, ...] = (), where: str = "", twin: bool = False
) -> bool:
    """`keys` are the source's key: "name kind"; `unique` what else is unique there."""
    infos = [column(*key.split(" ", 1)) for key in keys]
    index = {"more": Unique(("login",), unique, where)} if unique else {}
    here = TableInfo("people", {info.name: info for info in infos}, tuple(info.name for info in infos), index)
    made = Column("id", sql)
    table = Table(source="people", target="users", key=here.primary_key, columns=(made,))
    there = TableInfo("users", {"id": column("id", into)}, ("id",))
    return told_apart(replace(table, reject=(TWIN,)) if twin else table, [made], here, there)


@pytest.mark.parametrize(
    "sql, keys, into",
    [
        ("id", ["id uuid"], "uuid"),
        ("people.id", ["id uuid"], "uuid"),
        ('"id"', ["id integer"], "bigint"),
        ("id::bigint", ["id integer"], "bigint"),
        ("id", ["id bigint"], "integer"),
        ("id", ["id text"], "character varying(20)"),
        ("id", ["id citext"], "text"),
        ("id", ["id citext"], "citext"),
        ("id", ["id character(20)"], "text"),
        ("id", ["id numeric(12,4)"], "numeric(12,4)"),
        ("id", ["id numeric(12,4)"], "numeric"),
        ("id::text", ["id timestamp"], "text"),
        ("md5(id)::uuid", ["id text"], "uuid"),
        ("md5(id::text)", ["id integer"], "character varying(40)"),
        ("md5('x' || realm || ':' || id)::uuid", ["realm integer", "id text"], "uuid"),
        ("concat_ws(':', realm, id)", ["realm text", "id bigint"], "text"),
        ("md5(concat_ws(':', 'users', id))::uuid", ["id text"], "uuid"),
        ("md5(jsonb_build_array(realm, 'x', id)::text)::uuid", ["realm text", "id text"], "uuid"),
        ("md5(md5(realm) || md5(id))::uuid", ["realm text", "id text"], "uuid"),
        ("md5(realm::text || id)::uuid", ["realm uuid", "id text"], "uuid"),
        ("md5(CAST(id AS varchar(36)))::uuid", ["id uuid"], "uuid"),
        ("('00000000-0000-4000-' || lpad(to_hex(id), 16, '0'))::uuid", ["id bigint"], "uuid"),
        ("lpad(id::text, 32, '0')::uuid", ["id numeric(10,0)"], "uuid"),
        ("CAST(id AS uuid)", ["id text"], "uuid"),
        ("CAST(md5('user:' || id) AS uuid)", ["id text"], "uuid"),
        ("md5(CAST(id AS character varying))::uuid", ["id integer"], "uuid"),
        ("id", ["id numeric(10,0)"], "bigint"),
        ("md5(realm::text || id::text)::uuid", ["realm uuid", "id uuid"], "uuid"),
        ("uuid_generate_v5(uuid_ns_dns(), id)", ["id text"], "uuid"),
        ("uuid_generate_v5('6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid, id::text)", ["id bigint"], "uuid"),
        ("lpad(id::text, 32, '0')::uuid", ["id bigint"], "uuid"),
        ("('00000000-0000-0000-0000-' || lpad(id::text, 12, '0'))::uuid", ["id integer"], "uuid"),
        ("lpad(to_hex(id), 32, '0')::uuid", ["id bigint"], "uuid"),
        ("CAST(id AS text)", ["id bigint"], "text"),
        ("('00000000-0000-4000-8000-' || lpad(to_hex(id::int), 12, '0'))::uuid", ["id integer"], "uuid"),
        ("(lpad(realm::text, 16, '0') || lpad(id::text, 16, '0'))::uuid", ["realm integer", "id integer"], "uuid"),
        ("md5(id || '|x')::uuid", ["id date"], "uuid"),
        ("id::uuid", ["id text"], "uuid"),
        ('"the-id"', ["the-id text"], "text"),
    ],
)
def test_what_shows_that_they_differ(sql: str, keys: list[str], into: str) -> None:
    assert shown(sql, *keys, into=into)


@pytest.mark.parametrize(
    "sql, keys, into",
    [
        ("lower(id)", ["id text"], "text"),
        ("md5(lower(id))::uuid", ["id text"], "uuid"),
        ("id", ["id text"], "uuid"),
        ("id", ["id text"], "citext"),
        ("id", ["id text"], "character(20)"),
        ("id", ["id text"], "integer"),
        ("id", ["id numeric(12,4)"], "numeric(12,2)"),
        ("id", ["id numeric(12,4)"], "integer"),
        ("id", ["id timestamp"], "timestamp(0)"),
        ("id", ["id double precision"], "real"),
        ("id", ["id bigint"], "double precision"),
        ("id::varchar(3)", ["id text"], "text"),
        ("md5(id::int::text)::uuid", ["id numeric(12,4)"], "uuid"),
        ("md5(id::int::text)::uuid", ["id text"], "uuid"),
        ("md5(id::date::text)::uuid", ["id timestamp"], "uuid"),
        ("md5(id::uuid::text)::uuid", ["id text"], "uuid"),
        ("concat_ws('', realm, id)", ["realm text", "id text"], "text"),
        ("md5(realm::text || '1' || id::text)::uuid", ["realm integer", "id integer"], "uuid"),
        ("md5(realm || id)::uuid", ["realm text", "id text"], "uuid"),
        ("md5(realm || ':' || id)::uuid", ["realm text", "id text"], "uuid"),
        ("concat_ws(':', realm, id)", ["realm text", "id text"], "text"),
        ("concat_ws('-', realm, id)", ["realm text", "id integer"], "text"),
        ("md5(realm::text || E'\\x31' || id::text)::uuid", ["realm integer", "id integer"], "uuid"),
        ("md5(realm::text || $$1$$ || id::text)::uuid", ["realm integer", "id integer"], "uuid"),
        ("('0000000000000000000000000000' || id::text)::uuid", ["id integer"], "uuid"),
        ("md5(concat_ws(realm, id))::uuid", ["realm text", "id text"], "uuid"),
        ("md5(concat_ws(':', 'users', realm || id))::uuid", ["realm text", "id text"], "uuid"),
        ("md5(to_hex(realm) || 'a' || to_hex(id))::uuid", ["realm integer", "id integer"], "uuid"),
        ("lpad(id::text, 32, '1')::uuid", ["id bigint"], "uuid"),
        ("md5(lpad('user-' || id::text, 12, '0'))::uuid", ["id integer"], "uuid"),
        ("md5(CAST(id AS varchar(20)))::uuid", ["id uuid"], "uuid"),
        ("md5(realm || '' || id)::uuid", ["realm text", "id text"], "uuid"),
        ("md5(realm::text || id::text)::uuid", ["realm integer", "id integer"], "uuid"),
        ("md5(id)::uuid", ["realm text", "id text"], "uuid"),
        ("lpad(id::text, 12, '0')", ["id bigint"], "text"),
        ("lpad(id, 32, '0')", ["id text"], "text"),
        ("('00000000-0000-4000-8000-' || lpad(to_hex(id::bigint), 12, '0'))::uuid", ["id integer"], "uuid"),
        ("('00000000-0000-4000-8000-' || lpad(to_hex(CAST(id AS int8)), 12, '0'))::uuid", ["id integer"], "uuid"),
        ("(lpad(realm::text, 17, '0') || lpad(id::text, 16, '0'))::uuid", ["realm integer", "id integer"], "uuid"),
        ("md5((id || '{\"a\": 1}')::text)::uuid", ["id jsonb"], "uuid"),
        ("id + 1", ["id integer"], "integer"),
        ("abs(id)", ["id integer"], "integer"),
    ],
)
def test_what_does_not(sql: str, keys: list[str], into: str) -> None:
    assert not shown(sql, *keys, into=into)


@pytest.mark.parametrize(
    "sql, unique",
    [
        ("md5(lower(login))::uuid", "lower(login)"),
        ("md5(lower(login))::uuid", "lower((login)::text)"),
        ("md5('x' || LOWER ( people.login::text ))::uuid", "lower((login)::text)"),
        ("md5(lower(btrim(login)))::uuid", "lower(btrim(login))"),
    ],
)
def test_what_a_unique_index_is_made_of_differs(sql: str, unique: str) -> None:
    assert shown(sql, "login text", unique=(unique,))
    assert not shown(sql, "login text", unique=(unique,), where="NOT deleted")
    assert not shown(sql, "login text", unique=("upper(login)",))
    assert not shown(sql, "login text", unique=(unique, "realm"))


def test_brackets_that_an_index_has_are_not_missed_in_the_plan() -> None:
    assert shown("md5(realm || login)::uuid", "realm text", "login text", unique=("((realm || login))",))
    assert not shown("md5(realm || login)::uuid", "realm text", "login text", unique=("(realm || '-') || login",))


def test_an_index_over_what_may_be_null_says_nothing_of_a_list() -> None:
    for sql in ("md5(concat('x', nullif(login, '')))::uuid", "md5(jsonb_build_array(nullif(login, ''))::text)::uuid"):
        assert not shown(sql, "login text", unique=("nullif(login, '')",))


def test_what_a_rule_says_of_a_uuid_in_text() -> None:
    assert shown("md5(id::uuid::text)::uuid", "id text", twin=True)
    assert not shown("md5(login::uuid::text)::uuid", "login text", twin=True)
