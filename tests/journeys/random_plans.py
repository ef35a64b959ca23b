"""Small random schemas with their plans, and what a plan means, said once more in Python: no code of the product's, and no SQL.

Every legacy column is mapped in one of the ways of `WAYS`, each with its SQL and its meaning both ways.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

TENANTS = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b")
Row = dict[str, Any]
Rows = dict[str, dict[Any, Row]]
"""By legacy table and key."""
Kept = dict[str, dict[Any, set[str]]]
"""And why each is kept back, of what may be said of it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORDS = st.text(st.sampled_from("aAbB 'é%\\\"{}日"), max_size=8)


class Unmappable(Exception):
    """The server cannot compute the IAM's value, or the column refuses it."""


class Unfound(Unmappable):
    """The IAM has no row that the value means: a rule of the look-up's own names it."""


@dataclass(frozen=True)
class Way:
    """How a legacy column becomes one of the IAM's, and back: types, SQL over `{c}`, and the same in Python of what is not NULL."""

    legacy: str
    iam: str
    there: str
    forward: Callable[[Any], Any]
    back: str
    reverse: Callable[[Any], Any]
    values: st.SearchStrategy[Any]
    news: st.SearchStrategy[Any]
    """What somebody writes in the IAM."""
    lossy: bool = False


def _short(value: str) -> str:
    if len(value) > 5:
        raise Unmappable
    return value


def _parsed(value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise Unmappable
    return int(value)


_FOUND = {"red": 1, "it's": 2, '%s\\"{日}': 3}
"""What the IAM's table `words` says before a run begins, and its keys."""


def _looked_up(value: str) -> int:
    if value not in _FOUND and value != "rot":
        raise Unfound
    return _FOUND.get(value, 1)


_LOOKUP = '{{ lookup = "words", by = "word", value = "{c}", words = {{ rot = "red" }} }}'
_NUMBERS = st.integers(-1000, 1000)
_MILLISECONDS = st.integers(0, 2**41)
_PARSED = st.one_of(st.integers(0, 99).map(str), st.sampled_from(["x", ""]))
WAYS = {
    "same": Way("text", "text", "{c}", str, "{c}", str, _WORDS, _WORDS),
    "trimmed": Way(
        "text", "text", "btrim({c})", lambda v: v.strip(" "), "{c}", str, _WORDS, _WORDS.map(lambda v: v.strip(" ")), True
    ),
    "written": Way("integer", "text", "{c}::text", str, "{c}::integer", int, _NUMBERS, _NUMBERS.map(str)),
    "parsed": Way("text", "integer", "{c}::integer", _parsed, "{c}::text", str, _PARSED, st.integers(0, 99), True),
    "short": Way("text", "varchar(5)", "{c}", _short, "{c}", str, _WORDS, _WORDS.map(lambda v: v[:5])),
    "millis": Way(
        "bigint", "timestamptz", "to_timestamp({c} / 1000.0)", lambda v: _EPOCH + timedelta(milliseconds=v),
        "(extract(epoch FROM {c}) * 1000)::bigint", lambda v: (v - _EPOCH) // timedelta(milliseconds=1),
        _MILLISECONDS, _MILLISECONDS.map(lambda v: _EPOCH + timedelta(milliseconds=v)),
    ),
    "yes": Way(
        "text", "boolean", "{c} = 'Y'", lambda v: v == "Y", "CASE WHEN {c} THEN 'Y' WHEN NOT {c} THEN 'N' END",
        lambda v: "Y" if v else "N", st.sampled_from(["Y", "N"]), st.booleans(),
    ),
    "json": Way(
        "jsonb", "text", "{c} ->> 'v'", lambda v: v["v"],
        "CASE WHEN {c} IS NOT NULL THEN jsonb_build_object('v', {c}) END", lambda v: {"v": v},
        _WORDS.map(lambda v: {"v": v}), _WORDS,
    ),
    "looked": Way(
        "text", "integer", _LOOKUP, _looked_up, _LOOKUP,
        lambda v: "rot" if v == 1 else next(word for word, key in _FOUND.items() if key == v),
        st.sampled_from([*_FOUND, "rot", "Red", "red ", ""]), st.sampled_from([1, 2, 3]), True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    name: str
    way: Way
    required: bool
    """NOT NULL in the IAM; legacy never minds."""

    def forward(self, value: Any) -> Any:
        if value is None:
            if self.required:
                raise Unmappable
            return None
        return self.way.forward(value)

    def reverse(self, value: Any) -> Any:
        return None if value is None else self.way.reverse(value)


@dataclass(frozen=True)
class Table:
    """Rows of a tenant with a key `id`, and perhaps a `parent` that another table of the plan has."""

    name: str
    key: str
    """Its type on both sides: text or bigint."""
    columns: tuple[Column, ...]
    parent: str = ""
    rejects: str = ""
    """A text column of which the plan rejects 'bad'."""
    unique: str = ""
    """A text column of which the IAM wants no two that differ in capitals alone."""
    split: bool = False
    """Legacy has the rows in two tables, and a view of both that says on which `side` each is."""

    @property
    def homes(self) -> tuple[str, ...]:
        """The legacy tables: of two, the first has those with a `side`."""
        return (f"{self.name}_left", f"{self.name}_right") if self.split else (self.name,)

    @property
    def here(self) -> str:
        return f"new_{self.name}"


@dataclass
class Schema:
    """Tables, parents first, and their legacy rows by key."""

    tables: tuple[Table, ...]
    rows: dict[str, dict[Any, Row]] = field(default_factory=dict)

    def legacy_sql(self) -> str:
        made = ["CREATE TABLE orgs (id text PRIMARY KEY, name text NOT NULL)"]
        for table in self.tables:
            columns = [f"id {table.key} PRIMARY KEY", "org text NOT NULL"]
            columns += [f"parent {self.key_of(table.parent)}"] if table.parent else []
            columns += [f"{column.name} {column.way.legacy}" for column in table.columns]
            made += [f"CREATE TABLE {home} ({', '.join(columns)})" for home in table.homes]
            if table.split:
                left, right = table.homes
                both = f"SELECT *, true AS side FROM {left} UNION ALL SELECT *, false FROM {right}"
                made.append(f"CREATE VIEW {table.name} AS {both}")
        return "; ".join(made)

    def iam_sql(self) -> str:
        said = ", ".join(
            "({}, '{}')".format(key, word.replace("'", "''").replace("%", "%%")) for word, key in _FOUND.items()
        )
        made = ["CREATE TABLE words (id integer PRIMARY KEY, word text UNIQUE)", f"INSERT INTO words VALUES {said}"]
        for table in self.tables:
            columns = [f"id {table.key} PRIMARY KEY", "tenant_id uuid NOT NULL REFERENCES tenants (id)"]
            columns += ["side boolean NOT NULL"] if table.split else []
            if table.parent:
                columns.append(f"parent {self.key_of(table.parent)} REFERENCES new_{table.parent} (id)")
            columns += [
                f"{column.name} {column.way.iam}{' NOT NULL' if column.required else ''}" for column in table.columns
            ]
            made.append(f"CREATE TABLE {table.here} ({', '.join(columns)})")
            if table.unique:
                made.append(f"CREATE UNIQUE INDEX ON {table.here} (lower({table.unique}))")
        return "; ".join(made)

    def key_of(self, name: str) -> str:
        return next(table.key for table in self.tables if table.name == name)

    def plan(self) -> str:
        parts = [
            'name = "random"\ndescription = "Random"\n'
            '[[tables]]\nsource = "orgs"\ntarget = "tenants"\nkey = ["id"]\ntenant = "id"\n'
            '[tables.columns]\nid = "id::uuid"\nname = "name"\nslug = "name"\nmax_licenses = "5"\n'
            '[tables.reverse]\nid = "id::text"\nname = "name"\n'
        ]
        for table in self.tables:
            lossy = [column.name for column in table.columns if column.way.lossy]
            accepted = f"lossy = {json.dumps(lossy)}\n" if lossy else ""
            text = f'[[tables]]\nsource = "{table.name}"\ntarget = "{table.here}"\nkey = ["id"]\ntenant = "tenant_id"\n'
            text += "view = true\n" if table.split else accepted
            there, back = {"id": "id", "tenant_id": "org::uuid"}, {"id": "id", "org": "tenant_id::text"}
            if table.parent:
                there["parent"] = back["parent"] = "parent"
            for column in table.columns:
                there[column.name] = column.way.there.format(c=column.name)
                back[column.name] = column.way.back.format(c=column.name)
            if table.split:
                there["side"] = "side"
                for home, where in zip(table.homes, ("side", "NOT side"), strict=True):
                    text += (
                        f'[tables.reads.{home}]\nlink = {{ id = "id" }}\ntenant = "org"\nwhere = "{where}"\n{accepted}'
                    )
                    text += _section(f"reads.{home}.reverse", back)
            text += _section("columns", there)
            text += "" if table.split else _section("reverse", back)
            if table.rejects:
                text += f"[tables.reject]\nsaid_bad = \"{table.rejects} = 'bad'\"\n"
            parts.append(text)
        return "\n".join(parts)

    def expected(self, before: Rows | None = None) -> tuple[Rows, Kept]:
        """By legacy table: the rows that the IAM has by key, and why each of the others may be kept back.

        A row that the IAM had `before` stays as it was where what became of it cannot be stored; a rule takes it out.
        """
        arrived: Rows = {}
        kept: Kept = {}
        for table in self.tables:
            here, back = arrived.setdefault(table.name, {}), kept.setdefault(table.name, {})
            for key, row in self.rows[table.name].items():
                made, reasons = self._mapped(table, row, arrived)
                if reasons:
                    back[key] = reasons
                if not reasons:
                    here[key] = made
                elif before and key in before[table.name] and not any(map(_by_a_rule, reasons)):
                    here[key] = before[table.name][key]
            if table.unique:
                self._only_first(table, here, back)
        return arrived, kept

    def _only_first(self, table: Table, here: dict[Any, Row], back: dict[Any, set[str]]) -> None:
        first: dict[str, Any] = {}
        for key in sorted(here):
            value = here[key][table.unique]
            if value is not None and first.setdefault(value.lower(), key) != key:
                del here[key]
                back[key] = {f"duplicate_{table.unique}"}

    def _mapped(self, table: Table, row: Row, arrived: Rows) -> tuple[Row, set[str]]:
        if table.rejects and row[table.rejects] == "bad":
            return {}, {"said_bad"}
        made: Row = {"tenant_id": row["org"]} | ({"side": row["side"]} if table.split else {})
        reasons = set()
        if table.parent:
            made["parent"] = row["parent"]
            if row["parent"] is not None and row["parent"] not in arrived[table.parent]:
                reasons.add(f"missing_new_{table.parent}")
        for column in table.columns:
            try:
                made[column.name] = column.forward(row[column.name])
            except Unfound:
                reasons.add(f"{column.name}_not_found")
            except Unmappable:
                reasons |= {"cannot_be_mapped", "cannot_be_stored"}
        return made, reasons


def _section(heading: str, said: dict[str, str]) -> str:
    return f"[tables.{heading}]\n" + "".join(f"{name} = {_written(sql)}\n" for name, sql in said.items())


def _written(sql: str) -> str:
    return sql if sql.startswith("{ ") else json.dumps(sql)


def _by_a_rule(reason: str) -> bool:
    return reason == "said_bad" or reason.endswith("_not_found")


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    tables: list[Table] = []
    for name in draw(st.sampled_from([("a",), ("a", "b")])):
        ways = draw(st.lists(st.sampled_from(sorted(WAYS)), min_size=1, max_size=4))
        columns = tuple(Column(f"c{n}_{way}", WAYS[way], draw(st.booleans())) for n, way in enumerate(ways))
        texts = [
            column.name
            for column in columns
            if column.way.legacy == "text" and not column.name.endswith(("yes", "looked"))
        ]
        sames = [column.name for column in columns if column.name.endswith("same")]
        tables.append(
            Table(
                name, draw(st.sampled_from(["text", "bigint"])), columns,
                parent="a" if tables and draw(st.booleans()) else "",
                rejects=draw(st.sampled_from(texts)) if texts and draw(st.booleans()) else "",
                unique=draw(st.sampled_from(sames)) if sames and draw(st.booleans()) else "",
                split=draw(st.booleans()),
            )
        )  # fmt: skip
    schema = Schema(tuple(tables))
    for table in tables:
        schema.rows[table.name] = {}
        for number in range(draw(st.integers(0, 6))):
            schema.rows[table.name][key(table, number)] = draw(row(schema, table))
    return schema


def key(table: Table, number: int) -> Any:
    return number if table.key == "bigint" else f"k {number}"


def row(schema: Schema, table: Table) -> st.SearchStrategy[Row]:
    """A legacy row of the table, without its key; its parent may be none, one that is there, or one that is not."""
    values: dict[str, st.SearchStrategy[Any]] = {"org": st.sampled_from(TENANTS)}
    if table.split:
        values["side"] = st.booleans()
    if table.parent:
        parent = next(each for each in schema.tables if each.name == table.parent)
        values["parent"] = st.sampled_from([None, *(key(parent, number) for number in range(7))])
    for column in table.columns:
        kinds = [column.way.values, st.none()]
        if column.name == table.rejects:
            kinds.append(st.just("bad"))
        values[column.name] = st.one_of(*kinds)
    return st.fixed_dictionaries(values)
