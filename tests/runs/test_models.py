"""A run changes its state once, also when two ask."""

import pytest

from migration_portal.runs.models import IllegalTransition, Run
from migration_portal.runs.pause import pause
from migration_portal.runs.start import start
from tests.world import World


def test_the_second_press_of_a_button_is_refused(world: World) -> None:
    world.sample()
    run = start(by="one")
    same = Run.objects.get(pk=run.pk)
    pause(run, by="one")
    with pytest.raises(IllegalTransition, match="It is pausing"):
        pause(same, by="two")
