"""Pages and messages are plain English: these turns of phrase are said otherwise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
SAID_OTHERWISE = {
    "goes on": "continues", "went on": "continued", "shall": "must, or will", "the way back": "reverse, reversing",
    "set aside": "kept back", "sets aside": "keeps back", "stands still": "has stopped", "sign of life": "heartbeat",
    "whoever": "who, anybody who", "in the way": "blocked by",
}  # fmt: skip
PHRASES = re.compile(rf"\b({'|'.join(SAID_OTHERWISE)})\b", re.IGNORECASE)
MARKUP = re.compile(r"\{#.*?#\}|\{%.*?%\}|<[^>]+>", re.DOTALL)
PACKAGES = ("config", "migration_portal", "legacy_compat", "iam", "flags", "templates")


def files(ending: str) -> Iterator[Path]:
    for package in PACKAGES:
        yield from (each for each in (ROOT / package).rglob(f"*{ending}") if "migrations" not in each.parts)


def messages(text: str) -> Iterator[str]:
    """The strings of a module but its docstrings, which readers of the code see."""
    tree = ast.parse(text)
    docstrings = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def phrases(texts: Iterator[str]) -> list[str]:
    return [
        f"{match.group()}: {SAID_OTHERWISE[match.group().lower()]}"
        for text in texts
        for match in PHRASES.finditer(text)
    ]


def test_messages_are_plain_english() -> None:
    said = {str(each.relative_to(ROOT)): phrases(messages(each.read_text(encoding="utf-8"))) for each in files(".py")}
    assert len(said) > 300 and {name: found for name, found in said.items() if found} == {}


def test_pages_are_plain_english() -> None:
    said = {
        str(each.relative_to(ROOT)): phrases(iter([MARKUP.sub(" ", each.read_text(encoding="utf-8"))]))
        for each in files(".html")
    }
    assert len(said) > 50 and {name: found for name, found in said.items() if found} == {}


def test_what_is_said_otherwise_is_noticed() -> None:
    assert phrases(messages('x = "It goes on."')) == ["goes on: continues"] and not phrases(
        messages('"""It goes on."""')
    )
