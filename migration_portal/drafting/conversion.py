"""How the values of a legacy column become those of an IAM column, and back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import process

from migration_portal.drafting import names, values
from migration_portal.drafting.evidence import Values, is_text
from migration_portal.plan.model import ColumnInfo

_WHOLE = ("smallint", "integer", "bigint")
_NUMBERS = (*_WHOLE, "numeric", "real", "double precision")
_JSON = ("json", "jsonb")
_EPOCHS = {
    "milliseconds": ("to_timestamp({0} / 1000.0)", "round(extract(epoch FROM {0}) * 1000)"),
    "seconds": ("to_timestamp({0})", "extract(epoch FROM {0})"),
}
"""There and back."""
_PLACE = "{0}"
"""Where the value stands in a conversion: a word that holds it could not be told apart."""
_CLOSE = 60
"""How alike, of 100, two words of enumerations must be."""


@dataclass(frozen=True)
class Conversion:
    """SQL there over `{0}`, the legacy value, and back over `{0}`, the IAM's; None where nothing leads back."""

    there: str
    back: str | None
    certainty: float
    reason: str
    uuid: bool = False
    """Values may be no UUIDs: a reject rule names those."""
    number: bool = False
    """Both ways are the plan's own: { number = … }."""


def convert(column: ColumnInfo, found: Values, target: ColumnInfo, allowed: Sequence[str] = ()) -> Conversion | None:
    """The way from one column to the other by their types and by sampled values; None when there is none.

    `allowed` are the only values that the IAM's column may have; empty for any.
    """
    if allowed and is_text(column) and is_text(target):
        return _enumeration(found, allowed)
    if target.type == "boolean":
        return _boolean(column, found)
    if target.type == "uuid" and column.type != "uuid":
        return _uuid(column, found)
    if target.type == "timestamp with time zone" and column.type != target.type:
        return _time(column, found)
    if column.type == target.type or (is_text(column) and is_text(target)):
        return Conversion("{0}", "{0}", 1.0, "the same type")
    if column.type in _NUMBERS and target.type in _NUMBERS:
        return Conversion("{0}", "{0}", 0.95, f"{column.type} to {target.type}")
    return _text(column, found, target)


def _text(column: ColumnInfo, found: Values, target: ColumnInfo) -> Conversion | None:
    look = values.look(found)
    if target.type in _JSON and (column.type in _JSON or (is_text(column) and look == "JSON")):
        return Conversion(f"{{0}}::{target.type}", f"{{0}}::{_written(column)}", 0.9, "text that holds JSON")
    if target.type in _WHOLE and is_text(column) and look in ("number", "seconds", "milliseconds"):
        return Conversion(f"{{0}}::{target.type}", "{0}::text", 0.8, "text that holds numbers")
    if is_text(target):
        return Conversion("{0}::text", f"{{0}}::{_written(column)}", 0.7, f"{column.type} as text")
    return None


def _uuid(column: ColumnInfo, found: Values) -> Conversion | None:
    if column.type in _WHOLE:
        if any(not 0 <= int(value) < 2**48 for value in found if value is not None):
            return Conversion(
                "md5({0}::text)::uuid",
                None,
                0.6,
                "numbers that no UUID can stand for: one is made of each, and nothing leads back",
            )
        return Conversion("", "", 0.95, "a number, and a UUID that stands for it", number=True)
    if not is_text(column):
        return None
    if values.look(found) == "":
        return Conversion("{0}::uuid", "{0}::text", 0.7, "no values to look at: taken for UUIDs", uuid=True)
    if values.look(found) == "uuid":
        return Conversion("{0}::uuid", "{0}::text", 0.95, "text that holds UUIDs", uuid=True)
    return Conversion("md5({0})::uuid", None, 0.6, "no UUIDs: one is made of each, and nothing leads back")


def _time(column: ColumnInfo, found: Values) -> Conversion | None:
    look = values.look(found)
    if column.type == "timestamp without time zone":
        return Conversion("{0} AT TIME ZONE 'UTC'", "{0} AT TIME ZONE 'UTC'", 0.9, "taken for UTC")
    if column.type == "date":
        return Conversion("{0}::timestamp AT TIME ZONE 'UTC'", "({0} AT TIME ZONE 'UTC')::date", 0.8, "midnight in UTC")
    if column.type in _NUMBERS and look in ("milliseconds", "seconds"):
        there, back = _EPOCHS[look]
        if "0" in found:  # for never
            return Conversion(
                there.replace("{0}", "nullif({0}, 0)"),
                f"coalesce({back}, 0)::{column.type}",
                0.8,
                f"{look} since 1970; 0 for never",
            )
        return Conversion(there, f"({back})::{column.type}", 0.95, f"{look} since 1970")
    if is_text(column) and look in ("milliseconds", "seconds"):
        there, back = _EPOCHS[look]
        return Conversion(
            there.replace("{0}", "{0}::bigint"), f"({back})::bigint::text", 0.85, f"text that holds {look} since 1970"
        )
    if is_text(column) and look == "time":
        return Conversion("{0}::timestamptz", None, 0.7, "text that holds times; how legacy writes them is not known")
    return None


def _boolean(column: ColumnInfo, found: Values) -> Conversion | None:
    no = "NOT " if names.negated(column.name) else ""
    if column.type == "boolean":
        return Conversion(f"{no}{{0}}", f"{no}{{0}}", 0.95 if no else 1.0, "the opposite" if no else "the same type")
    if column.type in _WHOLE:
        told = {value for value in found if value is not None}
        if not told <= {"0", "1"}:
            return None
        ayes, noes = (0, 1) if no else (1, 0)
        back = f"CASE WHEN {{0}} THEN {ayes} WHEN NOT {{0}} THEN {noes} END"
        return Conversion(f"{{0}} = {ayes}", back, 0.9, "0 and 1")
    if is_text(column):
        return _yes(values.different(found), no)
    if column.type.startswith("timestamp"):
        return Conversion(
            f"{{0}} IS {'' if no else 'NOT '}NULL",
            None,
            0.6,
            f"{'false' if no else 'true'} where there is a time, which would be lost",
        )
    return None


def _yes(words: list[str], no: str) -> Conversion | None:
    told = values.yes(words)
    if told is None or any(_PLACE in word for word in words):
        return None
    ayes, noes = told
    listed = ", ".join(map(literal, ayes))
    there = f"{{0}} = {listed}" if len(ayes) == 1 else f"{{0}} IN ({listed})"
    otherwise = f" WHEN {'' if no else 'NOT '}{{0}} THEN {literal(noes[0])}" if noes else ""
    back = f"CASE WHEN {no}{{0}} THEN {literal(ayes[0])}{otherwise} END"
    lost = "" if len(ayes) == 1 and len(noes) < 2 else "; other words come back as these"
    said = f"{literal(ayes[0])} for yes{', ' + literal(noes[0]) + ' for no' if noes else ''}{lost}"
    return Conversion(f"NOT ({there})" if no else there, back, 0.9 if not lost else 0.7, said)


def _enumeration(found: Values, allowed: Sequence[str]) -> Conversion | None:
    different = values.words(found)
    if set(different) <= set(allowed):
        return Conversion("{0}", "{0}", 1.0 if different else 0.8, "only values that the IAM allows")
    if not different or any(_PLACE in word for word in different):
        return None
    pairs = {word: _closest(word, allowed) for word in different}
    known = {word: to for word, to in pairs.items() if to is not None}
    if not known:
        return None
    cases = " ".join(f"WHEN {literal(word)} THEN {literal(to)}" for word, to in known.items())
    first: dict[str, str] = {}
    for word, to in known.items():
        first.setdefault(to, word)
    back = " ".join(f"WHEN {literal(to)} THEN {literal(word)}" for to, word in first.items())
    certainty = 0.8 if len(known) == len(pairs) == len(first) else 0.5
    unknown = [word for word, to in pairs.items() if to is None]
    said = "its words as the IAM writes them" + (f"; NULL for {', '.join(map(literal, unknown))}" if unknown else "")
    return Conversion(f"CASE {{0}} {cases} END", f"CASE {{0}} {back} END", certainty, said)


def _closest(word: str, allowed: Sequence[str]) -> str | None:
    plain = {each.lower(): each for each in allowed}
    if word.strip().lower() in plain:
        return plain[word.strip().lower()]
    found = process.extractOne(word.lower(), list(plain), score_cutoff=_CLOSE)
    return plain[found[0]] if found else None


def literal(text: str) -> str:
    """A string as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _written(column: ColumnInfo) -> str:
    return column.full_type if column.type == "bpchar" else column.type
