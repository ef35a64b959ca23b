"""Expressions that only write a column in another way. Pure."""

from __future__ import annotations

import re

_SPELLING = re.compile(r'(?:lower\()?\s*(?:"((?:[^"]|"")+)"|(\w+))\s*\)?\s*(?:::\s*[\w ]+)?', re.IGNORECASE)


def spelled(sql: str) -> str:
    """The column that the expression is, casts it, or has in lower case; empty when it is more than that."""
    match = _SPELLING.fullmatch(sql.strip())
    if match is None:
        return ""
    return match[1].replace('""', '"') if match[1] else match[2].lower()
