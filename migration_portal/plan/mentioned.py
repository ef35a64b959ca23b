"""What a piece of SQL mentions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

_SQL = re.compile(
    r"""(?P<literal>e'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$) | --[^\n]* | /\*.*?\*/
    | ::\s*(?P<cast>"(?:[^"]|"")*"|character\s+varying|double\s+precision|\w+) | "(?P<quoted>(?:[^"]|"")*)"
    | (?P<word>character\s+varying|double\s+precision|\w[\w$]*)
    | (?P<sign>\S)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
"""The server leaves other capitals as they are."""


class Token(NamedTuple):
    """`kind` is literal, cast (what it is to), word (an identifier as the server knows it, or a number) or sign."""

    kind: str
    text: str


def tokens(text: str) -> Iterator[Token]:
    """What a piece of SQL is made of, without its blanks and comments."""
    for found in _SQL.finditer(text):
        if found["literal"]:
            yield Token("literal", found["literal"])
        elif found["cast"]:
            yield Token("cast", " ".join(found["cast"].lower().split()))
        elif found["word"]:
            yield Token("word", " ".join(found["word"].translate(_SMALL).split()))
        elif found["quoted"] is not None:
            yield Token("word", found["quoted"].replace('""', '"'))
        elif found["sign"]:
            yield Token("sign", found["sign"])


def words(text: str) -> Iterator[str]:
    """The identifiers, as the server knows them, and numbers in a piece of SQL: not what its literals and casts say."""
    return (token.text for token in tokens(text) if token.kind == "word")


def columns(text: str) -> Iterator[str]:
    """Those of the words that may be columns: what is called, and what a column is of, is none."""
    for token, after in pairwise([*tokens(text), Token("sign", "")]):
        if token.kind == "word" and after not in (Token("sign", "("), Token("sign", ".")):
            yield token.text
