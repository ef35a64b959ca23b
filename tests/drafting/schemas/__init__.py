"""Legacy schemas that everybody knows, with some rows, and what is drafted for them."""

from __future__ import annotations

from pathlib import Path

from migration_portal.drafting.draft import draft_now
from tests.world import World


def fill(world: World, schema: str) -> None:
    with world.legacy() as legacy:
        legacy.execute((Path(__file__).parent / f"{schema}.sql").read_bytes())


def drafted(world: World, schema: str, tmp_path: Path, *decided: tuple[str, str]) -> Path:
    """Fill legacy, and write a plan as it is drafted, with some of its text decided otherwise. Returns the file."""
    fill(world, schema)
    text = draft_now(schema).text
    for old, new in decided:
        assert old in text, f"{old} is not in the draft"
        text = text.replace(old, new)
    path = tmp_path / f"{schema}.toml"
    path.write_text(text)
    return path
