"""What values look like. Pure; values are as PostgreSQL writes them as text, None for NULL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

_ENOUGH = 0.95
"""The share of values that must look alike: real data has exceptions, which rules name."""
_MOSTLY = 0.5
"""Where most values are UUIDs, the column is meant to hold them, and the others are dirt."""
_MOST_WORDS = 12
"""Different values up to which a column is an enumeration."""

_LOOKS: dict[str, re.Pattern[str]] = {
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    "password hash": re.compile(
        r"\$(2[abxy]|argon2(id|i|d)|pbkdf2[-\w]*|scrypt|firebase-scrypt|[156y])\$.+|(pbkdf2_sha(1|256)|argon2|bcrypt(_sha256)?|scrypt|md5)\$.+",
    ),
    "e-mail": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "milliseconds": re.compile(r"1[0-9]{12}"),
    "seconds": re.compile(r"1[0-9]{9}"),
    "number": re.compile(r"-?\d+"),
    "time": re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d(:?\d\d)?)?"),
    "URL": re.compile(r"https?://\S+"),
    "phone number": re.compile(r"\+?[\d\s()/.-]{6,20}"),
}  # fmt: skip
_YES = {"t", "true", "y", "yes", "1", "on", "active", "enabled", "a", "verified", "confirmed"}
_NO = {
    "f",
    "false",
    "n",
    "no",
    "0",
    "off",
    "inactive",
    "disabled",
    "i",
    "d",
    "blocked",
    "suspended",
    "deleted",
    "pending",
    "locked",
    "b",
}


def look(values: Iterable[str | None]) -> str:
    """The first name that nearly all of the values go by; "text" when none does, "" when there are no values."""
    given = [value for value in values if value not in (None, "")]
    if not given:
        return ""
    tests: dict[str, Callable[[str], object]] = {name: pattern.fullmatch for name, pattern in _LOOKS.items()}
    tests["JSON"] = lambda value: fields(value) is not None
    for name, test in tests.items():
        enough = _MOSTLY if name == "uuid" else _ENOUGH
        if sum(1 for value in given if value is not None and test(value)) >= enough * len(given):
            return name
    return "text"


def fields(value: str | None) -> list[str] | None:
    """The names of the fields of a JSON object; None for anything else."""
    if value is None or not value.lstrip().startswith("{"):
        return None
    try:
        read = json.loads(value)
    except ValueError:
        return None
    return list(read) if isinstance(read, dict) else None


def objects(value: str | None) -> list[dict[str, object]]:
    """A JSON list of objects; none of anything else."""
    if value is None or not value.lstrip().startswith("["):
        return []
    try:
        read = json.loads(value)
    except ValueError:
        return []
    return read if all(isinstance(each, dict) for each in read) else []


def words(values: Iterable[str | None]) -> list[str]:
    """The different values of an enumeration, the commonest first; none when there are too many, or they hardly occur twice."""
    given = [value for value in values if value is not None]
    found = different(given)
    return found if len(found) <= len(given) // 2 else []


def different(values: Iterable[str | None]) -> list[str]:
    """All of them, the commonest first; none when there are too many for an enumeration."""
    given = [value for value in values if value is not None]
    found = sorted(set(given), key=lambda value: (-given.count(value), value))
    return found if len(found) <= _MOST_WORDS else []


def yes(values: Iterable[str]) -> tuple[list[str], list[str]] | None:
    """The words that mean yes, and those that mean no; None when one is neither."""
    ayes, noes = [], []
    for value in values:
        plain = value.strip().lower()
        if plain in _YES:
            ayes.append(value)
        elif plain in _NO:
            noes.append(value)
        else:
            return None
    return (ayes, noes) if ayes else None
