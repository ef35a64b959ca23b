"""Named queries from sql/*.sql files: `-- name: claim` starts one, the lines after it say why and how."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import LiteralString, cast

from psycopg.sql import SQL

_DIRECTORY = Path(__file__).parent / "sql"


@cache
def queries(file: str) -> dict[str, SQL]:
    """The queries of `sql/<file>.sql` by name, ready for `.format` with identifiers."""
    text = (_DIRECTORY / f"{file}.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name: SQL(cast(LiteralString, body.strip())) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
