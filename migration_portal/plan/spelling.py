"""Expressions that only write a column in another way. Pure."""

from __future__ import annotations

import re

_SPELLING = re.compile(
    r"""[\s(]* (?:lower\s*\([\s(]*)?
    (?:(?:"(?:[^"]|"")+"|\w+)\s*\.\s*)? (?:"((?:[^"]|"")+)"|(\w[\w$]*))
    [\s)]* (?:::\s*[\w\ ]+)? [\s)]*""",
    re.IGNORECASE | re.VERBOSE,
)
"""Brackets need not be counted: what is no SQL is refused elsewhere."""


def spelled(sql: str) -> str:
    """The column that the expression is, casts it, or has in lower case; empty when it is more than that."""
    match = _SPELLING.fullmatch(sql.strip())
    if match is None:
        return ""
    return match[1].replace('""', '"') if match[1] else match[2].lower()
