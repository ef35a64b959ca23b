"""How alike two names are, as somebody sees it who has read many identity schemas. Pure.

Names of one concept are in one line of names.toml; what no line knows is compared letter by letter.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

from rapidfuzz import fuzz

EXACT, CONCEPT = 1.0, 0.9
_PREFIXED = 0.8
_ALIKE = 0.85
"""Letters in common from which names that are no concept's count as alike."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def columns(source: str, target: str, table: str = "") -> float:
    """0 to 1. What repeats the name of the source's `table` counts for nothing: user_email in users."""
    whole, rest = _plain(source), _without(source, table)
    told = [whole] if whole in _concepts("columns") or not rest else [whole, rest]
    return max(_alike(name, _plain(target), "columns") for name in told)


def tables(source: str, target: str) -> float:
    """0 to 1. Words before a name that is known may be a product's: wp_users, AspNetUserRoles."""
    plain, known = _plain(source), _concepts("tables")
    whole = _alike(plain, _plain(target), "tables")
    if whole or plain in known:
        return whole
    words = plain.split()
    named = next((known[rest] for start in range(1, len(words)) if (rest := " ".join(words[start:])) in known), "")
    return _PREFIXED if named and named == known.get(_plain(target)) else 0.0


def negated(name: str) -> bool:
    """Whether a column says the opposite of its concept: disabled, for active."""
    return bool({"disabled", "inactive", "blocked", "suspended", "banned", "locked"} & set(_plain(name).split()))


def of_second_factor(table: str) -> bool:
    """Whether a table is about codes, keys and the like, besides the password: user_mfa, user_2fa."""
    return bool({"mfa", "fa", "totp", "otp", "factor"} & set(_plain(table).split()))


def concept(name: str) -> str:
    """What the column is about: the first name of its line; empty for names that no line knows."""
    return _concepts("columns").get(_plain(name), "")


def _alike(source: str, target: str, kind: str) -> float:
    if source == target:
        return EXACT
    known = _concepts(kind)
    if source in known or target in known:
        return CONCEPT if known.get(source) == known.get(target) else 0.0
    ratio = fuzz.ratio(source, target) / 100
    return ratio * _ALIKE if ratio >= _ALIKE else 0.0


@cache
def _plain(name: str) -> str:
    """Its words in lower case and the singular, without is and has: "created at" for createdAt."""
    words = [_singular(word.lower()) for word in _WORDS.findall(name)]
    return " ".join(word for word in words if word not in ("is", "has")) or name.lower()


def _without(name: str, table: str) -> str:
    left = [word for word in _plain(name).split() if word not in _plain(table).split()]
    return " ".join(left)


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


@cache
def _concepts(kind: str) -> dict[str, str]:
    """Every known name, plain, and the first of its line."""
    read = tomllib.loads((Path(__file__).parent / "names.toml").read_text(encoding="utf-8"))
    return {_plain(name): names[0] for names in read[kind] for name in names}
