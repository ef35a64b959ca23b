"""Hashing rows on servers that hash differently."""

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from migration_portal.engine.verify import rows
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run
from tests.engine.verify.findings import found_after
from tests.world import World


def test_servers_that_hash_differently_are_compared_by_md5(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    never: Callable[..., bool] = lambda transfer: False  # noqa: E731
    monkeypatch.setattr(rows, "same_hashes", never)
    assert found_after(world, run) == []
    with world.iam() as iam:
        iam.execute("UPDATE users SET bio = 'x' WHERE id = (SELECT id FROM users LIMIT 1)")
    assert found_after(world, run) == [("users", "differs", "bio")]


def test_servers_of_two_encodings_hash_the_same_text_differently(world: World, run: Run) -> None:
    name = f"{world.name}_latin1"
    with psycopg.connect(world.server, autocommit=True) as server:
        server.execute(
            SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'").format(
                Identifier(name)
            )
        )
    try:
        with open_transfer(run, "test") as transfer:
            assert rows.same_hashes(transfer)
            with psycopg.connect(world.server, dbname=name, autocommit=True) as other:
                assert not rows.same_hashes(replace(transfer, source=other))
    finally:
        with psycopg.connect(world.server, autocommit=True) as server:
            server.execute(SQL("DROP DATABASE {}").format(Identifier(name)))
