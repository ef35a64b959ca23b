"""Every verb is on the record."""

from migration_portal.audit.models import Event
from migration_portal.runs.pause import pause, resume
from migration_portal.runs.start import start
from tests import builders
from tests.world import World


def test_every_verb_is_on_the_audit_record(world: World) -> None:
    world.sample()
    run = start(by="anna")
    pause(run, by="bert", reason="lunch")
    builders.finish(run)
    resume(run, by="bert")
    builders.finish(run)
    events = [(event.verb, event.actor, event.reason) for event in Event.objects.filter(run=run.pk).order_by("id")]
    assert events == [
        ("start", "anna", ""), ("pause", "bert", "lunch"), ("run_paused", "system", ""),
        ("resume", "bert", ""), ("run_completed", "system", ""),
    ]  # fmt: skip
