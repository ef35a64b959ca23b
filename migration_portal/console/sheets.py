"""Rows for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Any


def csv_line(values: Iterable[Any]) -> str:
    """One row of a CSV file. No spreadsheet takes a cell of it for a formula: the text is not ours to trust."""
    line = StringIO()
    csv.writer(line).writerow(_inert("" if value is None else str(value)) for value in values)
    return line.getvalue()


def _inert(value: str) -> str:
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
