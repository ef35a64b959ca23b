"""Finding source rows by their key or by the key they have in the target, and the target key of a source key.

A key may leave parts open (None): then it stands for all rows with the others, as a captured change of a row of which the
source makes many does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile, directions, numbers
from migration_portal.plan.mentioned import words
from migration_portal.plan.model import Lookup, Rule, Table
from migration_portal.plan.one_to_one import text_uuids
from migration_portal.plan.spelling import spelled

_BATCH = 5000
_HEX_DIGITS = 32
"""Of a uuid."""
_TAKES_ANY = {"text", "character varying", "bpchar", "citext"}
"""Types to which whatever a target's key holds can be cast."""


def keys_in(columns: Sequence[Composable], keys: Sequence[Sequence[str]]) -> Composable:
    """A condition that (columns, as text) is one of `keys`, by a hashed sub-select."""
    arrays = SQL(", ").join(SQL("{}::text[]").format(Literal([key[n] for key in keys])) for n in range(len(columns)))
    return SQL("({}) IN (SELECT * FROM unnest({}))").format(
        SQL(", ").join(SQL("{}::text").format(column) for column in columns), arrays
    )


Key = tuple[str, ...]
"""A row's key, each part as text."""


def by_source_key(table: Table, keys: Sequence[Sequence[str]]) -> Composable:
    """True for the source rows that these keys stand for; a row with a NULL in its key is none."""

    def of(names: Sequence[str], said: Sequence[Key]) -> Composable:
        rest = [name for name in table.key if name not in names]
        return SQL("{} AND {}").format(one_of(names, said), compile.all_set(rest)) if rest else one_of(names, said)

    return any_of(of(names, said) for names, said in parted(table.key, keys).items())


def one_of(names: Sequence[str], keys: Sequence[Key]) -> Composable:
    """True for rows whose columns have one of the keys; the first is compared as what it is, too, so that an index serves."""
    if len(names) == 1:
        return SQL("{} = ANY({})").format(Identifier(names[0]), Literal([key[0] for key in keys]))
    first = SQL(", ").join(Literal(part) for part in dict.fromkeys(key[0] for key in keys))
    return SQL("{} IN ({}) AND {}").format(Identifier(names[0]), first, keys_in(list(map(Identifier, names)), keys))


def any_of(conditions: Iterable[Composable]) -> Composable:
    """True where one of them is."""
    parts = [SQL("({})").format(condition) for condition in conditions]
    return SQL("({})").format(SQL(" OR ").join(parts)) if parts else SQL("false")


def parted(columns: Sequence[str], keys: Iterable[Sequence[str | None]]) -> dict[tuple[str, ...], list[Key]]:
    """The columns that a key says → what the keys that say those, and no others, say."""
    found: dict[tuple[str, ...], list[Key]] = {}
    for key in keys:
        said = {name: part for name, part in zip(columns, key, strict=True) if part is not None}
        found.setdefault(tuple(said), []).append(tuple(said.values()))
    return found


class Named:
    """What these keys stand for: `key in named`."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._by_said: dict[tuple[int, ...], dict[Key, Key]] = {}
        for key in keys:
            said = {place: part for place, part in enumerate(key) if part is not None}
            self._by_said.setdefault(tuple(said), {})[tuple(said.values())] = key

    def __contains__(self, key: Sequence[str]) -> bool:
        return next(self.standing_for(key), None) is not None

    def standing_for(self, key: Sequence[str]) -> Iterator[Key]:
        for places, keys in self._by_said.items():
            if named := keys.get(tuple(key[place] for place in places)):
                yield named


def shown(key: Sequence[str | None]) -> str:
    """The key as people read it."""
    return ", ".join("any" if part is None else part for part in key)


def is_open(key: Sequence[str | None]) -> bool:
    """Whether the key leaves parts open."""
    return None in key


def array_of_keys(keys: Iterable[Sequence[str]]) -> Composable:
    """The keys as the text of their arrays, for a comparison with `portal_source_key::text`: PostgreSQL has no ragged arrays."""
    arrays = SQL(", ").join(SQL("({}::text[])::text").format(Literal(list(key))) for key in keys)
    return SQL("ARRAY[{}]::text[]").format(arrays)


def by_target_key(
    transfer: Transfer, table: Table, keys: Sequence[Sequence[str]]
) -> list[tuple[list[str], list[str], str]]:
    """The source rows whose mapped key is one of `keys`: (source key, target key, row as JSON text).

    First through the source's own index, for keys that are written alike on both sides; the
    rest by one pass over the table.
    """
    rows: list[tuple[list[str], list[str], str]] = []
    wanted = {tuple(key) for key in keys}
    for place in range(0, len(keys), _BATCH):
        if guessed := _guessed(transfer, table, keys[place : place + _BATCH]):
            rows += [row for row in _select(transfer, table, by_source_key(table, guessed)) if tuple(row[1]) in wanted]
    missing = wanted - {tuple(row[1]) for row in rows}
    if missing:
        rows += _select(transfer, table, keys_in(_mapped_key(transfer, table), [list(key) for key in missing]))
    return rows


def in_target_whole(
    transfer: Transfer, table: Table, keys: Sequence[Sequence[str]]
) -> list[tuple[list[str], list[str], str]]:
    """Those of the source rows that are there, with their whole key in the target: (source key, target key, row as JSON text)."""
    made = _select(transfer, table, by_source_key(table, keys)) if keys else []
    return [row for row in made if None not in row[1]]


def all_of_target_key(
    transfer: Transfer, table: Table, keys: Sequence[Sequence[str]]
) -> list[tuple[list[str], list[str], str]]:
    """As `by_target_key`, but every row that has one of the keys, by a pass over the table."""
    return _select(transfer, table, keys_in(_mapped_key(transfer, table), keys)) if keys else []


def _guessed(transfer: Transfer, table: Table, keys: Sequence[Sequence[str]]) -> list[list[str]]:
    """What the source keys may be: the same text, or the numbers that UUIDs stand for; none where the type takes neither."""
    if len(table.key) != 1:
        return []
    column = table.column(transfer.info(table).primary_key[0])
    if column and column.number:
        begins = numbers.prefix(column.number)
        return [[str(int(key[0][len(begins) :], 16))] for key in keys if key[0].startswith(begins)]
    of_source = transfer.source_catalog[table.source].columns[table.key[0]].type
    of_target = {transfer.info(table).columns[name].type for name in transfer.info(table).primary_key}
    if of_source not in _TAKES_ANY and of_target != {of_source}:
        return []
    return [[value] for key in keys for value in key]


def there(transfer: Transfer, table: Table, keys: Sequence[Sequence[str]]) -> set[Key]:
    """Those of the keys whose rows the source has, in the caller's transaction."""
    if not keys:
        return set()
    statement = queries("source")["keys"].format(
        key=compile.source_key(table), table=compile.source_table(transfer.plan, table), where=by_source_key(table, keys),
    )  # fmt: skip
    return {tuple(row[0]) for row in transfer.source.execute(statement)}


def in_target(transfer: Transfer, table: Table, keys: Sequence[Sequence[str]]) -> list[tuple[Key, Key]]:
    """What each of these source keys is in the target (the owner's columns, as text), and the key; not those that are nothing."""
    try:
        with transfer.source.transaction():
            made = _in_target(transfer, table, keys)
    except psycopg.errors.DataError:
        if len(keys) == 1:
            return []  # it cannot be cast
        half = len(keys) // 2
        return in_target(transfer, table, keys[:half]) + in_target(transfer, table, keys[half:])
    return [(target, key) for target, key in made if is_open(key) or not is_open(target)]


def _in_target(transfer: Transfer, table: Table, keys: Sequence[Sequence[str]]) -> list[tuple[Key, Key]]:
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    names = [Identifier(f"c{n}") for n in range(len(owner))]
    statement = SQL("SELECT ARRAY[{}], key FROM ({}) AS made ({}, key)").format(
        SQL(", ").join(SQL("{}::text").format(name) for name in names), target_keys(transfer, table, keys),
        SQL(", ").join(names),
    )  # fmt: skip
    return [(tuple(target), tuple(key)) for target, key in transfer.source.execute(statement)]


def target_keys(transfer: Transfer, table: Table, keys: Sequence[Sequence[str]]) -> Composed:
    """SELECT what these source keys are in the target (the owner's columns), and the source key last; the rows may be gone.

    Of a key that leaves parts open, columns that follow from those are NULL.
    """
    by_said: dict[frozenset[str], list[Sequence[str]]] = {}
    for key in keys:
        said = frozenset(name for name, part in zip(table.key, key, strict=True) if part is not None)
        by_said.setdefault(said, []).append(key)
    parts = by_said or {frozenset(table.key): []}
    return SQL(" UNION ALL ").join(_target_keys(transfer, table, said, alike) for said, alike in parts.items())


def _target_keys(transfer: Transfer, table: Table, said: frozenset[str], keys: Sequence[Sequence[str]]) -> Composed:
    """Of keys of which these columns are said."""
    info, types = transfer.info(table), transfer.source_catalog[table.source].columns
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    count = range(len(table.key))
    follows = [directions.follows(column, table, said) for column in owner]
    values = [compile.raw(column.sql if known else "NULL") for column, known in zip(owner, follows, strict=True)]
    certain = [value for value, known in zip(values, follows, strict=True) if known] or [compile.raw("NULL")]
    return queries("source")["target_keys"].format(
        owner=SQL(", ").join(
            SQL("({})::{}").format(value, compile.raw(info.columns[column.name].sent_as))
            for value, column in zip(values, owner, strict=True)
        ),
        certain=SQL(" AND ").join(SQL("({}) IS NOT NULL").format(value) for value in certain)
        if said < set(table.key)
        else SQL("true"),
        values=SQL(", ").join(SQL("{}::text[]").format(Literal([key[n] for key in keys])) for n in count),
        names=SQL(", ").join(Identifier(f"k{n}") for n in count),
        key=SQL("ARRAY[{}]").format(SQL(", ").join(SQL("portal_keys.{}").format(Identifier(f"k{n}")) for n in count)),
        typed=SQL(", ").join(
            SQL("portal_keys.{}::{} AS {}").format(Identifier(f"k{n}"), compile.raw(types[name].type), Identifier(name))
            for n, name in enumerate(table.key)
        ),
        alias=Identifier(table.source),
        # A rule that reads other rows cannot be asked of a row that is gone; see `twins`.
        rejected=any_of(
            SQL("({}) IS TRUE").format(compile.raw(rule.sql)) for rule in table.reject
            if set(words(rule.sql)) & set(types) <= said and not _reads_rows(rule)
        ),
    )  # fmt: skip


def twins(transfer: Transfer, table: Table, keys: Sequence[Sequence[str]], *, gone: bool) -> list[list[str]]:
    """Source keys, besides these, of rows that would have the same target key but for the way, or the word, it is written in.

    Where a reject rule reads other rows, which of them is rejected depends on the others: asked if some of these rows are `gone`.
    """
    own = {tuple(key) for key in keys if not is_open(key)}
    here = transfer.source_catalog[table.source]
    uuids = set(text_uuids(table, here))
    if gone and len(table.key) == 1 and any(_reads_rows(rule) for rule in table.reject):
        uuids |= {name for name in table.key if here.columns[name].type in ("text", "character varying")}
    ruled = {rule.about for rule in table.reject}
    several = len(uuids) > 1  # each in its own way would be too many
    worded = dict(_worded(table))

    def alike(place: int, part: str) -> set[str]:
        name, lookup = table.key[place], worded.get(place)
        written = {part}
        if name in uuids:
            written |= {part.lower(), part.upper()} if several or name in ruled else _ways_of_uuid(part)
        return written | (set(lookup.alike(part)) if lookup else set())

    ways = {way for key in own for way in product(*(alike(place, part) for place, part in enumerate(key)))}
    return [list(key) for key in sorted(there(transfer, table, sorted(ways - own)) - own)]


def _ways_of_uuid(text: str) -> set[str]:
    """As legacies write it: with hyphens or without, in braces, in small letters or in capitals."""
    plain = text.strip("{}").replace("-", "").lower()
    if len(plain) != _HEX_DIGITS:
        return {text, text.lower(), text.upper()}
    parts = [plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]]
    ways = ["-".join(parts), plain, "{" + "-".join(parts) + "}", "{" + plain + "}"]
    return {text, *ways, *map(str.upper, ways)}


def in_two_ways(transfer: Transfer, table: Table) -> bool:
    """Whether two rows of the source may be one of the target because its key is written in another way, or with another word."""
    return bool(text_uuids(table, transfer.source_catalog[table.source]) or any(_worded(table)))


def _worded(table: Table) -> Iterator[tuple[int, Lookup]]:
    """The columns of the key, by their place in it, of which several words may lead to one row of the IAM's."""
    for column in table.columns:
        if column.lookup and column.lookup.words and (name := spelled(column.lookup.over)) in table.key:
            yield table.key.index(name), column.lookup


def _reads_rows(rule: Rule) -> bool:
    return "select" in {word.lower() for word in words(rule.sql)}


def all_keys(transfer: Transfer, name: str) -> Iterator[list[list[str]]]:
    """All keys of a source table, a page at a time, each from a snapshot of its own; a page's first key may come twice."""
    table = transfer.plan.siblings(name)[0]
    lower: list[str] | None = None
    while True:
        statement = queries("source")["page"].format(
            key=compile.source_key(table), table=compile.source_table(transfer.plan, table),
            where=compile.key_range(table.key, lower, None), order=SQL(", ").join(map(Identifier, table.key)),
            most=Literal(_BATCH),
        )  # fmt: skip
        with transfer.source.transaction():
            keys = [row[0] for row in transfer.source.execute(statement)]
        if keys:
            yield keys
        if len(keys) < _BATCH:
            return
        lower = keys[-1]


def _mapped_key(transfer: Transfer, table: Table) -> list[Composable]:
    """The target key's expressions where no reject rule holds, else NULL: a cast must not see the rows it fails on."""
    columns = [column for name in transfer.info(table).primary_key if (column := table.column(name))]
    return [
        SQL("CASE WHEN NOT {} THEN {} END").format(compile.rejected(table), compile.raw(column.sql))
        for column in columns
    ]


def _select(transfer: Transfer, table: Table, where: Composable) -> list[tuple[list[str], list[str], str]]:
    statement = queries("source")["by_target_key"].format(
        source_key=compile.source_key(table),
        mapped=SQL(", ").join([SQL("({})::text").format(part) for part in _mapped_key(transfer, table)]),
        name=Identifier(table.source),
        table=compile.source_table(transfer.plan, table),
        where=where,
    )
    with transfer.source.transaction():
        return list(transfer.source.execute(statement).fetchall())
