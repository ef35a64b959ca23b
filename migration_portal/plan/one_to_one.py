"""Whether two rows of the source could be one of the target, as far as the plan's words and the source's keys can show. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from migration_portal.plan.mentioned import Token, tokens, words
from migration_portal.plan.model import Column, ColumnInfo, Table, TableInfo

_TEXT = {"text", "varchar", "character varying"}
_DIGITS = {"smallint": 6, "integer": 11, "bigint": 20}
"""The whole numbers, and how long they are at most, with their sign."""
_WHOLE = {*_DIGITS, "int", "int2", "int4", "int8"}
_HASHES = {"md5", "uuid_generate_v5"}
_JOINS = {"concat_ws"}
_SAYS_ALL = _HASHES | _JOINS | {"concat", "cast", "as", *_TEXT}
_SAYS_ALL |= {"uuid_ns_dns", "uuid_ns_url", "uuid_ns_oid", "uuid_ns_x500", "public"}
_SAYS_ALL_OF_NUMBERS = {"lpad", "to_hex"}
_WORD = re.compile(r"[^'0-9]")
_SIGNS = re.compile(r"[()|:.,]*")


def told_apart(table: Table, owner: Sequence[Column], here: TableInfo, there: TableInfo) -> bool:
    """Whether what differs in the source's key, or in a unique index of its, differs in `owner`, the part of the target's key that
    follows from the source's.

    A column shows it as it stands, hashed, or joined to others by words, where the target's column takes no two of its values for
    one. So does whatever a unique index is made of: `lower(login)`, where that is unique.
    """
    unique = [index.parts or index.columns for index in here.uniques.values() if not index.where]
    return any(set(parts) <= _shown(table, owner, parts, here, there) for parts in (table.key, *unique))


def _shown(table: Table, owner: Iterable[Column], parts: Sequence[str], here: TableInfo, there: TableInfo) -> set[str]:
    kinds = {part: here.columns.get(part) for part in parts}
    # What a look-up finds is another row for another word, but for those that the plan says are alike: see `Lookup.alike`.
    shown: set[str] = set()
    for column in owner:
        if column.number:
            shown.add(column.number.over)
        else:
            shown |= _shown_by(table, column, kinds, there.columns[column.name])
    return shown


def _shown_by(table: Table, column: Column, kinds: Mapping[str, ColumnInfo | None], into: ColumnInfo) -> set[str]:
    """The parts that the column is made of, if it is another for every other value of them; else none."""
    spelt = {part: [Token("word", part)] if kinds[part] else _simple(part) for part in kinds}
    found = list(_made_of(_simple(column.reading, table.source), spelt))
    made_of = [token.text for token in found if token.kind == "part"]
    infos = [kinds[part] for part in made_of]
    found = [token for token in found if not (token.kind == "cast" and all(_is(info, token.text) for info in infos))]
    numbers = all(info is not None and info.type in _DIGITS for info in infos)
    hashed = bool(_HASHES & {token.text for token in found})
    canonical = numbers or all(_is(info, "uuid") for info in infos) or all(_as_uuid(table, part) for part in made_of)
    casts = [(at, token.text) for at, token in enumerate(found) if token.kind == "cast"]
    if not (
        _says_all(found, infos, numbers=numbers)
        and _apart(found, kinds)
        and all(kind == "uuid" and (canonical or _of_a_hash(found, at, hashed=hashed)) for at, kind in casts)
    ):
        return set()
    if column.lookup:
        kept = len(found) == 1
    elif into.type == "uuid":
        kept = canonical or hashed
    elif len(found) == 1:
        kept = _keeps_apart(infos[0], into)
    else:
        kept = into.type in _TEXT and (hashed or not into.loose)
    return set(made_of) if kept else set()


def _of_a_hash(found: Sequence[Token], at: int, *, hashed: bool) -> bool:
    """Whether what the token there casts is a literal, or all that there is, and a hash: written in one way only."""
    return found[at - 1].kind == "literal" or (hashed and at == len(found) - 1)


def _says_all(found: Sequence[Token], infos: Sequence[ColumnInfo | None], *, numbers: bool) -> bool:
    """Whether the functions that make it of its parts drop nothing of them."""
    said = {token.text for token in found if token.kind == "word"}
    lengths = {int(word) for word in said if word.isdecimal()}
    functions = {word for word in said if not word.isdecimal()}
    if lengths:
        longest = max((_DIGITS[info.type] for info in infos if info and info.type in _DIGITS), default=0)
        if "lpad" not in functions or not numbers or min(lengths) < longest:
            return False
    known = _SAYS_ALL | (_SAYS_ALL_OF_NUMBERS if numbers else set())
    return functions <= known and bool(_SIGNS.fullmatch("".join(each.text for each in found if each.kind == "sign")))


def _apart(found: Sequence[Token], kinds: Mapping[str, ColumnInfo | None]) -> bool:
    """Whether a word that is no number stands between any two parts, if they are not all of one length."""
    if any(token.text in _JOINS for token in found):
        return not any(token.kind == "literal" and not _WORD.search(token.text) for token in found)
    touching = False
    for token in found:
        if token.kind == "literal" and _WORD.search(token.text):
            touching = False
        elif token.kind == "part":
            if touching and not _is(kinds[token.text], "uuid"):
                return False
            touching = True
    return True


def _keeps_apart(mine: ColumnInfo | None, theirs: ColumnInfo) -> bool:
    """Whether the target's column takes no two values of the source's for one."""
    if mine is None:  # what an index is made of
        return theirs.type in _TEXT and not theirs.loose
    if mine.full_type == theirs.full_type and (mine.loose or not theirs.loose):
        return True
    if theirs.type in _TEXT:
        return not theirs.loose
    if theirs.type in _DIGITS:
        return mine.type in _DIGITS
    if theirs.full_type == "numeric":
        return mine.type in ("numeric", *_DIGITS)
    return mine.type == theirs.type == theirs.full_type


def _is(info: ColumnInfo | None, kind: str) -> bool:
    return info is not None and (info.type == kind or (info.type in _DIGITS and kind in _WHOLE))


def text_uuids(table: Table, here: TableInfo) -> list[str]:
    """The columns of the source's key that are uuids kept as text: of two rows that differ in case alone, one arrives."""
    return [name for name in table.key if here.columns[name].type != "uuid" and _as_uuid(table, name)]


def _as_uuid(table: Table, part: str) -> bool:
    """Whether the plan takes the text for a uuid, by a cast or a rule: catch-up knows that it may be written in two ways."""
    cast = [Token("word", part), Token("cast", "uuid")]
    by_rule = (
        (rule.cast and part in words(rule.sql)) or f"lower({table.source}.{part})" in rule.sql for rule in table.reject
    )
    return any(by_rule) or any(_simple(column.reading, table.source) == cast for column in table.columns)


def _made_of(reading: Sequence[Token], parts: Mapping[str, Sequence[Token]]) -> Iterator[Token]:
    """The reading with a token for each part that it is made of."""
    longest, at = sorted(parts, key=lambda part: -len(parts[part])), 0
    while at < len(reading):
        part = next((each for each in longest if [*reading[at : at + len(parts[each])]] == [*parts[each]]), None)
        if part is not None:
            yield Token("part", part)
            at += len(parts[part])
        else:
            yield reading[at]
            at += 1


def _simple(sql: str, source: str = "") -> list[Token]:
    """Without what an index says and a plan need not, or the other way round: casts to text, brackets around a single word or
    around all, and the source's name before its columns.
    """
    found = [token for token in tokens(sql) if not (token.kind == "cast" and token.text in _TEXT)]
    for at in range(len(found) - 1, 0, -1):
        if [token.text for token in found[at - 1 : at + 1]] == [source, "."]:
            del found[at - 1 : at + 1]
    at = 0
    while at < len(found) - 2:
        opened, word, closed = found[at : at + 3]
        called = at > 0 and found[at - 1].kind == "word"
        if (opened.text, word.kind, closed.text) == ("(", "word", ")") and opened.kind == "sign" and not called:
            found[at : at + 3] = [word]
            at = max(at - 1, 0)
        else:
            at += 1
    while _wrapped(found):
        found = found[1:-1]
    return found


def _wrapped(found: Sequence[Token]) -> bool:
    """Whether one pair of brackets is around all of it."""
    depth = 0
    for place, token in enumerate(found):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
        if depth == 0:
            return token.text == ")" and place == len(found) - 1
    return False
