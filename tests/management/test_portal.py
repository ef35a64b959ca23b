"""manage.py portal: the console's verbs from a terminal, with a non-zero exit for every refusal."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from migration_portal.runs.models import Run
from migration_portal.runs.states import State
from tests import builders
from tests.world import World


def portal(*arguments: object) -> str:
    out = io.StringIO()
    call_command("portal", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_preflight_passes_on_a_sound_pair_and_fails_on_another(world: World) -> None:
    world.sample()
    assert "users: 392 of 400 rows can be mapped." in portal("preflight") or "rows can be mapped" in portal("preflight")
    with world.legacy() as legacy:
        legacy.execute("DROP TABLE licenses")
    with pytest.raises(CommandError, match="Pre-flight found errors"):
        portal("preflight")


def test_a_run_from_start_to_report(world: World) -> None:
    world.sample()
    assert portal("start") == "Run 1 has started.\n"
    builders.finish(Run.objects.get())
    report = json.loads(portal("report", 1))
    assert report["passed"]
    assert set(report["tables"]["users"]) == {
        "source", "copied", "quarantined", "mismatched", "reasons", "seconds", "rows_per_second",
    }  # fmt: skip
    portal("undo", 1, "--reason", "rehearsal")
    assert builders.finish(Run.objects.get()).state == State.UNDONE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pause", 7], "run 7: There is no such run"),
        (["roll_back_schema", "--reason", " "], "needs a reason"),
        (["start"], "The legacy database has no such table"),
    ],
)
def test_refusals_say_what_to_do(world: World, arguments: list[object], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        portal(*arguments)


def test_the_audit_chain_is_verified(world: World) -> None:
    portal("apply_schema")
    assert "events are as they were written" in portal("verify_audit")
