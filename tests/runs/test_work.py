"""What a worker tries again by itself, when, and what waits for somebody at once."""

from __future__ import annotations

from typing import Any

from migration_portal.engine import ledger
from migration_portal.runs.models import Chunk
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from tests import builders
from tests.world import World


def refuse(world: World, condition: str) -> None:
    """The IAM refuses whatever is written to its licences, with this condition's code."""
    world.sql(
        "iam",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE {condition} USING MESSAGE = 'not now'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON licenses FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
    )


def failed(world: World, condition: str) -> Chunk:
    """What of a run is failed in the end, where the IAM refuses so."""
    world.sample(users=50, tenants=5)
    refuse(world, condition)
    run = builders.finish(start(by="tester"))
    assert run.state == State.FAILED
    return Chunk.objects.get(run=run.key, state="failed")


def test_what_only_somebody_can_mend_is_tried_once(world: World) -> None:
    chunk = failed(world, "insufficient_privilege")
    assert (chunk.attempt, chunk.error) == (1, "licenses: not now. Grant it to the role in the database URL.")


def test_what_may_be_gone_the_next_time_is_tried_again(world: World) -> None:
    assert failed(world, "disk_full").attempt == ledger.MOST_FAILURES


def test_a_worker_asks_seldom_for_what_is_to_be_tried_a_little_later(world: World, monkeypatch: Any) -> None:
    asked = []
    claim = ledger.claim

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        return claim(*arguments, **options)

    monkeypatch.setattr(ledger, "claim", counted)
    failed(world, "disk_full")
    most = 3 * Chunk.objects.count() + 20  # a second and a half between its three attempts
    assert len(asked) < most
