"""Where in a plan file something stands: the reader of TOML does not say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|'([^']+)'|([\w-]+))\s*=")

Place = tuple[int, str, str]
"""The number of the table in the plan (or of its rows), from 0; the section in it ("" for its own keys), dotted; the key."""


def lines(text: str) -> dict[Place, int]:
    """The line, from 1, of each key and of each section (with the key "") of the plan's tables."""
    return dict(_found(text))


def _found(text: str) -> Iterator[tuple[Place, int]]:
    numbers, counted, section = {"tables": -1, "rows": -1}, "tables", ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            name = header[2].replace('"', "").replace(" ", "")
            counted = name.split(".")[0]
            if header[1] == "[[":
                numbers[counted] = numbers.get(counted, -1) + 1
            section = name.removeprefix("tables").removeprefix(".")
            yield (numbers.get(counted, -1), section, ""), number
        elif key := _KEY.match(line):
            yield (numbers.get(counted, -1), section, key[1] or key[2] or key[3]), number
