"""What a piece of SQL mentions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SQL = re.compile(
    r"""e'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | --[^\n]* | /\*.*?\*/
    | ::\s*(?:"(?:[^"]|"")*"|\w+) | "(?P<quoted>(?:[^"]|"")*)" | (?P<word>\w+)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""A literal, a comment, what a cast is to; or else a word."""


def words(text: str) -> Iterator[str]:
    """The identifiers, as the server knows them, and numbers in a piece of SQL: not what its literals and casts say."""
    for found in _SQL.finditer(text):
        if found["word"]:
            yield found["word"].lower()
        elif found["quoted"] is not None:
            yield found["quoted"].replace('""', '"')


def without_words(text: str) -> str:
    """What is left of a piece of SQL without its identifiers, numbers, literals, casts and comments."""
    return _SQL.sub("", text)
