"""Whether two rows of the source could be one of the target, as far as the plan's words and the source's keys can show. Pure.

An expression is reduced, call by call, to a piece: text of which it is known which parts of the key it shows in full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from migration_portal.plan.mentioned import Token, tokens
from migration_portal.plan.model import Column, ColumnInfo, Table, TableInfo

_TEXT = {"text", "varchar", "character varying"}
_DIGITS = {"smallint": 6, "integer": 11, "bigint": 20}
"""The whole numbers, and how long they are at most, with their sign."""
_SHORT = {"int": "integer", "int2": "smallint", "int4": "integer", "int8": "bigint"}
_WHOLE = {*_DIGITS, *_SHORT}
_NUMERIC = re.compile(r"numeric\((\d+),0\)")
_HEX = {"smallint": 8, "integer": 8, "bigint": 16}
"""How long what to_hex() says of them is at most."""
_UUID = 36
_LISTS = {"json_build_array", "jsonb_build_array"}
_SPACES = {"uuid_ns_dns", "uuid_ns_url", "uuid_ns_oid", "uuid_ns_x500"}
_FILLS = {"'0'", "' '"}
_JOINED = {*_TEXT, *_DIGITS, "character", "citext", "numeric", "uuid", "date", "boolean"}
_HEX_OF_UUID = 32


@dataclass(frozen=True)
class Piece:
    """Text that is another for every other value of the parts of the key that it shows.

    `chars` is what it may be made of: "digits" (and a sign), "hex", "uuid" or "any"; `longest` how many at most, 0 where nobody
    knows; `fixed`: always as many. `alone` is the part that it is as it stands, `whole` as which whole number. `canonical`: as a
    uuid it is another for every other value, too. `nullable`: it may be NULL, of which a unique index takes as many as there are.
    """

    parts: frozenset[str]
    chars: str = "any"
    longest: int = 0
    fixed: bool = False
    alone: str = ""
    whole: str = ""
    canonical: bool = False
    hashed: bool = False
    nullable: bool = False


_Item = Token | Piece


def told_apart(table: Table, owner: Sequence[Column], here: TableInfo, there: TableInfo) -> bool:
    """Whether what differs in the source's key, or in a unique index of its, differs in `owner`, the part of the target's key that
    follows from the source's.

    A column shows it as it stands, hashed, or joined to others so that one can tell where each ends, where the target's column
    takes no two of its values for one. So does whatever a unique index is made of: `lower(login)`, where that is unique.
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


def _shown_by(table: Table, column: Column, kinds: Mapping[str, ColumnInfo | None], into: ColumnInfo) -> frozenset[str]:
    """The parts that the column is made of, if it is another for every other value of them; else none."""
    spelt = {part: [Token("word", part)] if kinds[part] else _simple(part) for part in kinds}
    pieces = {part: _piece(table, part, kinds[part], spelt[part]) for part in kinds}
    match _reduced(list(_made_of(_simple(column.reading, table.source), spelt)), pieces, kinds):
        case [Piece() as made]:
            as_uuid = False
        case [Piece() as made, Token("cast", "uuid")]:
            as_uuid = True
        case _:
            return frozenset()
    if column.lookup:
        kept = bool(made.alone) and not as_uuid
    elif as_uuid or into.type == "uuid":
        kept = (made.canonical or made.hashed) and into.type in ("uuid", *_TEXT)
    elif made.alone:
        kept = _keeps_apart(kinds[made.alone], into)
    else:
        kept = into.type in _TEXT and (made.hashed or not into.loose)
    return made.parts if kept else frozenset()


def _piece(table: Table, part: str, info: ColumnInfo | None, spelt: Sequence[Token]) -> Piece:
    piece = Piece(frozenset({part}), alone=part, nullable=info is None or not info.not_null)
    if info is None:  # what an index is made of
        return replace(piece, canonical=spelt[-1] == Token("cast", "uuid"))
    if longest := _digits(info):
        return replace(piece, chars="digits", longest=longest, whole=info.type, canonical=True)
    if info.type == "uuid":
        return replace(piece, chars="uuid", longest=_UUID, fixed=True, canonical=True)
    return replace(piece, canonical=_as_uuid(table, part))


def _digits(info: ColumnInfo) -> int:
    """How long the whole number is at most; 0 for what is none, or may be written in two ways."""
    numeric = _NUMERIC.fullmatch(info.full_type)
    return _DIGITS.get(info.type, 0) or (int(numeric[1]) + 1 if numeric else 0)


def _reduced(
    found: Sequence[Token], pieces: Mapping[str, Piece], kinds: Mapping[str, ColumnInfo | None]
) -> list[_Item]:
    """As few items as the calls and joins that drop nothing leave of it."""
    items: list[_Item] = [pieces[each.text] if each.kind == "part" else each for each in found]
    at = 0
    while at < len(items):
        for reduce in (_cast, _hex, _padded, _hashed, _listed, _joined, _bracketed):
            if done := reduce(items, at, kinds):
                piece, taken = done
                items[at : at + taken], at = [piece], -1  # from the beginning: what is around it may be next
                break
        at += 1
    return items


_Step = tuple[_Item, int] | None
"""What the items from a place on are in one, and how many of them."""
_Kinds = Mapping[str, ColumnInfo | None]


def _texts(items: Sequence[_Item]) -> list[str]:
    return [each.text if isinstance(each, Token) and each.kind != "literal" else "" for each in items]


def _cast(items: list[_Item], at: int, kinds: _Kinds) -> _Step:
    """Casts that change nothing: by the sign `::` or in full, to as long a text or as large a number."""
    if isinstance(piece := items[at], Piece):
        after = items[at + 1] if at + 1 < len(items) else None
        if (
            isinstance(after, Token)
            and after.kind == "cast"
            and _casts(piece, after.text, kinds, last=at + 2 == len(items))
        ):
            return _as_whole(piece, after.text, kinds), 2
        return None
    match [*_texts(items[at : at + 2]), *items[at + 2 : at + 3], *_texts(items[at + 3 : at + 6])]:
        case ["cast", "(", Piece() as piece, "as", str(kind), ")"] if kind in _TEXT or _casts(
            piece, kind, kinds, last=False
        ):
            return piece if kind in _TEXT else _as_whole(piece, kind, kinds), 6
        case ["cast", "(", Piece() as piece, "as", "uuid", ")"] if (
            (piece.canonical or piece.hashed) and at == 0 and len(items) == 6
        ):
            return replace(piece, alone=""), 6
    match [*_texts(items[at : at + 2]), *items[at + 2 : at + 3], *_texts(items[at + 3 : at + 9])]:
        case ["cast", "(", Piece() as piece, "as", str(to), "(", str(length), ")", ")"] if (
            to in _TEXT and length.isdecimal() and 0 < piece.longest <= int(length)
        ):
            return piece, 9
    return None


def _as_whole(piece: Piece, kind: str, kinds: _Kinds) -> Piece:
    """The piece cast to its own type, or to another whole number; to any other it is no more what it was."""
    if not _is(kinds.get(piece.alone), kind):
        return replace(piece, alone="", whole="")
    return replace(piece, whole=_SHORT.get(kind, kind) if piece.whole else "")


def _casts(piece: Piece, kind: str, kinds: _Kinds, *, last: bool) -> bool:
    """Whether the cast makes no two values one; to a uuid the last one is looked at by who asks."""
    if kind == "uuid":
        return not last and piece.canonical and (piece.chars == "uuid" or bool(piece.alone))
    return _is(kinds.get(piece.alone), kind)


def _hex(items: list[_Item], at: int, kinds: _Kinds) -> _Step:
    match [*_texts(items[at : at + 2]), *items[at + 2 : at + 3], *_texts(items[at + 3 : at + 4])]:
        case ["to_hex", "(", Piece(whole=kind) as piece, ")"] if piece.alone and kind in _HEX:
            return replace(piece, chars="hex", longest=_HEX[kind], alone="", whole=""), 4
    return None


def _padded(items: list[_Item], at: int, kinds: _Kinds) -> _Step:
    called = [*_texts(items[at : at + 2]), *items[at + 2 : at + 3], *_texts(items[at + 3 : at + 6])]
    match [*called, *items[at + 6 : at + 7], *_texts(items[at + 7 : at + 8])]:
        case ["lpad", "(", Piece() as piece, ",", str(length), ",", Token("literal", fill), ")"] if (
            piece.chars in ("digits", "hex")
            and length.isdecimal()
            and 0 < piece.longest <= int(length)
            and fill in _FILLS
        ):
            return replace(piece, longest=int(length), fixed=True, alone=""), 8
    return None


def _hashed(items: list[_Item], at: int, kinds: _Kinds) -> _Step:
    """md5(piece), or uuid_generate_v5(a namespace, piece)."""
    named = at
    if _texts(items[at : at + 2]) == ["public", "."]:
        named += 2
    match [*_texts(items[named : named + 2]), *items[named + 2 : named + 3], *_texts(items[named + 3 : named + 4])]:
        case ["md5", "(", Piece() as piece, ")"]:
            return _of_hash(piece, 32), named + 4 - at
    if _texts(items[named : named + 2]) != ["uuid_generate_v5", "("]:
        return None
    rest = items[named + 2 :]
    if _texts(rest[:2]) == ["public", "."]:
        rest = rest[2:]
    match rest:
        case [Token("word", space), Token("sign", "("), Token("sign", ")"), *after] if space in _SPACES:
            pass
        case [Token("literal", _), Token("cast", "uuid"), *after] | [Token("literal", _), *after]:
            pass
        case _:
            return None
    match after[:3]:
        case [Token("sign", ","), Piece() as piece, Token("sign", ")")]:
            return _of_hash(piece, _UUID), len(items) - len(after) + 3 - at
    return None


def _of_hash(piece: Piece, length: int) -> Piece:
    return Piece(piece.parts, "any", length, fixed=True, hashed=True, nullable=piece.nullable)


def _listed(items: list[_Item], at: int, kinds: _Kinds) -> _Step:
    """A list of pieces and words, each in its quotes: nobody takes the end of one for the beginning of the next."""
    name, bracket = ([*_texts(items[at : at + 2]), "", ""])[:2]
    if name not in (*_LISTS, "concat", "concat_ws") or bracket != "(":
        return None
    inside = items[at + 2 :]
    given: list[_Item] = []
    for place in range(0, len(inside) - 1, 2):
        item, sign = inside[place], inside[place + 1]
        said = not item.nullable if isinstance(item, Piece) else item.kind == "literal"
        if not said or not isinstance(sign, Token):  # a list takes NULL for a value
            return None
        given.append(item)
        if sign.text == ")":
            if name == "concat_ws":
                between, given = given[0], given[1:]
                if not isinstance(between, Token):
                    return None
                given = [each for some in zip(given, [between] * len(given), strict=True) for each in some][:-1]
            made = _list(given) if name in _LISTS else _chain(given)
            return (made, place + 4) if made else None
        if sign.text != ",":
            return None
    return None


def _list(given: Sequence[_Item]) -> Piece | None:
    parts = [each.parts for each in given if isinstance(each, Piece)]
    return Piece(frozenset().union(*parts)) if parts else None


def _joined(items: list[_Item], at: int, kinds: _Kinds) -> _Step:
    """Everything that || joins here. What is cast, or called, is no end of it."""
    if at and isinstance(before := items[at - 1], Token) and before.text == "|":
        return None
    chain, place = [items[at]], at + 1
    while _texts(items[place : place + 2]) == ["|", "|"] and place + 2 < len(items):
        chain.append(items[place + 2])
        place += 3
    after = items[place] if place < len(items) else None
    whole = not isinstance(after, Token) or after.text in (")", ",")
    known = all(_is_text(each, kinds) if isinstance(each, Piece) else each.kind == "literal" for each in chain)
    made = _chain(chain) if len(chain) > 1 and whole and known else None
    return (made, place - at) if made else None


def _is_text(piece: Piece, kinds: _Kinds) -> bool:
    """Whether || joins its text; of jsonb, arrays, bits and the like it makes something else."""
    info = kinds.get(piece.alone)
    return info is None or info.type in _JOINED


def _chain(chain: Sequence[_Item]) -> Piece | None:
    """The items one after the other; None where one could not tell which is which.

    One of which nobody knows where it ends is fine, if one knows it of all others: they are of a fixed length, or end where a
    character comes that they are not made of.
    """
    pieces = [each for each in chain if isinstance(each, Piece)]
    open_ones = [piece for piece in pieces if not piece.fixed]
    if not pieces or sum(piece.chars not in ("digits", "hex") for piece in open_ones) > 1:
        return None
    if len(open_ones) > 1:
        ends = re.compile("[^'0-9a-fA-F-]" if any(piece.chars == "hex" for piece in open_ones) else "[^'0-9-]")
        apart = True
        for each in chain:
            if isinstance(each, Token):
                apart = apart or (each.text.startswith("'") and bool(ends.search(each.text)))
            elif not each.fixed:
                if not apart:
                    return None
                apart = False
    # As a uuid, which passes over hyphens, it is another only where each piece has its place, and a sign leaves a digit too few.
    whole = sum(map(_hexes, chain)) == _HEX_OF_UUID
    return Piece(
        frozenset().union(*(piece.parts for piece in pieces)), fixed=all(piece.fixed for piece in pieces),
        canonical=whole and all(piece.canonical and piece.fixed for piece in pieces),
        nullable=any(piece.nullable for piece in pieces),
    )  # fmt: skip


def _hexes(item: _Item) -> int:
    """How many digits of a uuid it is."""
    if isinstance(item, Token):
        return sum(char in "0123456789abcdefABCDEF" for char in item.text)
    return _HEX_OF_UUID if item.chars == "uuid" else item.longest


def _bracketed(items: list[_Item], at: int, kinds: _Kinds) -> _Step:
    match items[at : at + 3]:
        case [Token("sign", "("), Piece() as piece, Token("sign", ")")]:
            before = items[at - 1] if at else None
            return None if isinstance(before, Token) and before.kind == "word" else (piece, 3)
    return None


def _keeps_apart(mine: ColumnInfo | None, theirs: ColumnInfo) -> bool:
    """Whether the target's column takes no two values of the source's for one."""
    if mine is None:  # what an index is made of
        return theirs.type in _TEXT and not theirs.loose
    if mine.full_type == theirs.full_type and (mine.loose or not theirs.loose):
        return True
    if theirs.type in _TEXT:
        return not theirs.loose
    if theirs.type in _DIGITS:
        return bool(_digits(mine))
    if theirs.full_type == "numeric":
        return mine.type in ("numeric", *_DIGITS)
    return mine.type == theirs.type == theirs.full_type and (mine.loose or not theirs.loose)


def _is(info: ColumnInfo | None, kind: str) -> bool:
    return info is not None and (info.type == kind or (info.type in _DIGITS and kind in _WHOLE))


def text_uuids(table: Table, here: TableInfo) -> list[str]:
    """The columns of the source's key that are uuids kept as text: of two rows that differ in case alone, one arrives."""
    return [name for name in table.key if here.columns[name].type != "uuid" and _as_uuid(table, name)]


def _as_uuid(table: Table, part: str) -> bool:
    """Whether the plan takes the text for a uuid, by a cast or a rule: catch-up knows that it may be written in two ways."""
    name = '"' + part.replace('"', '""') + '"'
    casts = [_simple(f"{name}::uuid"), _simple(f"CAST({name} AS uuid)")]
    by_rule = (rule.about == part or f"lower({table.source}.{part})" in rule.sql for rule in table.reject)
    return any(by_rule) or any(_simple(column.reading, table.source) in casts for column in table.columns)


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
    for at in range(len(found) - 1, -1, -1):
        called = at > 0 and found[at - 1].kind == "word"
        if (
            found[at] == Token("sign", "(")
            and not called
            and (end := _closing(found, at))
            and _single(found[at + 1 : end])
        ):
            del found[end], found[at]
    while _wrapped(found):
        found = found[1:-1]
    return found


def _wrapped(found: Sequence[Token]) -> bool:
    """Whether one pair of brackets is around all of it."""
    return found[:1] == [Token("sign", "(")] and _closing(found, 0) == len(found) - 1


def _single(found: Sequence[Token]) -> bool:
    """Whether it is one word, or one call."""
    if not found or found[0].kind != "word":
        return False
    return len(found) == 1 or (found[1] == Token("sign", "(") and _closing(found, 1) == len(found) - 1)


def _closing(found: Sequence[Token], at: int) -> int:
    """Where the bracket that opens there closes; 0 where it does not."""
    depth = 0
    for place, token in enumerate(found[at:], at):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
        if depth == 0:
            return place
    return 0
