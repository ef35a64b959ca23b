"""Our flags through waffle."""

from __future__ import annotations

from django.test import RequestFactory

from flags import change as changing
from flags.decide import Subject
from flags.evaluate import definitions, is_on
from tests import builders
from tests.features.switching import flag
from tests.world import World


def test_waffles_own_question_is_answered_by_our_rule(world: World) -> None:
    from waffle import flag_is_active

    changing.change(flag(), by="t", reason="t", targets=["user:u1"])
    definitions(fresh=True)
    request = RequestFactory().get("/")
    request.user = builders.member("operator")
    assert not flag_is_active(request, "new_ui_enabled")
    request.flag_subject = Subject("u1")
    assert flag_is_active(request, "new_ui_enabled")
    assert is_on("new_ui_enabled", Subject("u1"))
