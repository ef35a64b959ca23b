"""Legacy systems with a plan: directories with plan.toml, legacy.sql (tables) and rows.sql."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psycopg import Connection

from migration_portal.refusal import Refusal
from migration_portal.sample.fill import tables


def fill_legacy(legacy: Connection[Any], example: Path, *, replace: bool = False) -> None:
    """Create the example's tables and rows, in one transaction.

    Raises Refusal when the directory is no example, or the database holds tables already, unless `replace` is true.
    """
    for name in ("plan.toml", "legacy.sql", "rows.sql"):
        if not (example / name).is_file():
            raise Refusal(f"It has no {name}.", subject=str(example), todo="Name a directory like those in examples/.")
    with legacy.transaction():
        held = tables(legacy)
        if held and not replace:
            raise Refusal(
                f"It already holds {', '.join(held[:5])}.", subject="legacy database", todo="Name an empty database.",
            )  # fmt: skip
        if held:
            legacy.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        for name in ("legacy.sql", "rows.sql"):
            legacy.execute((example / name).read_bytes())
    legacy.execute("ANALYZE")
