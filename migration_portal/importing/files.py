"""Exports as files: CSV with a header, JSON Lines, or JSON with a list of objects. Every column is text; what is nested, JSON."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from migration_portal.importing.model import ImportedTable, Row
from migration_portal.refusal import Refusal

_KEYS = ("id", "_id", "localId", "user_id", "userId", "uid", "uuid", "guid")
"""What exports call the id of a row."""
_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".json")
Record = dict[str, str | None]


def table_of(path: Path, *, key: str = "") -> ImportedTable:
    """The table that a file is: by the file's name, with all the names of its records as columns.

    Reads it once to know those, and again for its rows. Raises Refusal that names file and line.
    """
    columns: dict[str, str] = {}
    seen: dict[str, set[str]] = {}
    count = 0
    for record in _records(path):
        count += 1
        for name, value in record.items():
            columns.setdefault(name, "text")
            if name in ((key,) if key else _KEYS) and value is not None:
                seen.setdefault(name, set()).add(value)
    if not count:
        raise Refusal("It holds no records.", subject=str(path), todo="Name an export with a row each.")
    chosen = next((name for name in ((key,) if key else _KEYS) if len(seen.get(name, ())) == count), "")
    if not chosen:
        raise Refusal(
            f"No column tells its rows apart: {key or ', '.join(_KEYS)}.", subject=str(path),
            todo="Name one that does: --key COLUMN.",
        )  # fmt: skip
    return ImportedTable(_name(path), columns, (chosen,), lambda: _rows(path, list(columns)))


def _name(path: Path) -> str:
    return re.sub(r"\W+", "_", path.stem.lower()).strip("_")[:63] or "imported"


def _rows(path: Path, columns: list[str]) -> Iterator[Row]:
    for record in _records(path):
        yield [record.get(name) for name in columns]


def _records(path: Path) -> Iterator[Record]:
    if path.suffix.lower() not in _SUFFIXES:
        raise Refusal("Its kind is not known.", subject=str(path), todo=f"Files end with {', '.join(_SUFFIXES)}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                yield from _of_csv(path, file)
            elif path.suffix.lower() == ".json":
                yield from _of_objects(path, enumerate(_listed(path, file.read()), 1))
            else:
                yield from _of_objects(path, _lines(path, file))
    except OSError as error:
        raise Refusal(f"It cannot be read ({error.strerror}).", subject=str(path), todo="Name a file.") from error
    except UnicodeDecodeError as error:
        raise Refusal("It is not UTF-8.", subject=str(path), todo="Export it as UTF-8.") from error


def _of_csv(path: Path, file: Iterable[str]) -> Iterator[Record]:
    """An empty field is NULL: CSV does not tell the two apart."""
    reader = csv.DictReader(file, strict=True)
    try:
        for record in reader:
            if None in record or None in record.values():
                raise Refusal(
                    "It has not as many fields as the header.",
                    subject=f"{path}, line {reader.line_num}",
                    todo="Correct that line.",
                )
            yield {name: _text(value or None, f"{path}, line {reader.line_num}") for name, value in record.items()}
    except csv.Error as error:
        raise Refusal(
            f"It is no CSV: {error}.", subject=f"{path}, line {reader.line_num}", todo="Correct that line."
        ) from error


def _lines(path: Path, file: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield number, _parsed(line, f"{path}, line {number}")


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refusal(f"It is no JSON: {error}.", subject=place, todo="Correct it, or export it again.") from error


def _listed(path: Path, text: str) -> list[Any]:
    """The list itself, or the only list of objects in an object: {"users": [...]}; where there are several, that of users."""
    read = _parsed(text, str(path))
    if isinstance(read, list):
        return read
    lists = {name: each for name, each in read.items() if isinstance(each, list) and each and isinstance(each[0], dict)}
    chosen = lists.get("users") or (next(iter(lists.values())) if len(lists) == 1 else None)
    if chosen is None:
        raise Refusal("It holds no list of objects.", subject=str(path), todo="Export a list, or JSON Lines.")
    return list(chosen)


def _of_objects(path: Path, objects: Iterable[tuple[int, Any]]) -> Iterator[Record]:
    for number, each in objects:
        place = f"{path}, record {number}"
        if not isinstance(each, dict):
            raise Refusal("It is no object.", subject=place, todo="Let each record be one object.")
        yield {name: _text(_flat(value), place) for name, value in each.items()}


def _flat(value: Any) -> str | None:
    """A value as text. MongoDB's {"$oid": …} and {"$date": …} are what they hold."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("$oid", "$date"):
        return _flat(next(iter(value.values())))
    return json.dumps(value, ensure_ascii=False)


def _text(value: str | None, place: str) -> str | None:
    if value is not None and "\0" in value:
        raise Refusal(
            "It holds a NUL, which no text in PostgreSQL can.", subject=place, todo="Take it out of the export."
        )
    return value
