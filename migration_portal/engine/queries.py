"""Named queries from .sql files: `-- name: claim` starts one, the lines after it say why and how."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import LiteralString, cast

from psycopg.sql import SQL

_DIRECTORY = Path(__file__).parent / "sql"


def queries(file: str) -> dict[str, SQL]:
    """The queries of the engine's own `sql/<file>.sql` by name, ready for `.format` with identifiers."""
    return named(_DIRECTORY / f"{file}.sql")


@cache
def named(path: Path) -> dict[str, SQL]:
    """The queries of a file by name, in the file's order."""
    parts = re.split(r"^-- name: (\w+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: SQL(cast(LiteralString, body.strip())) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
