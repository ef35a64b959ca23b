"""Our flags through OpenFeature."""

from __future__ import annotations

from openfeature.evaluation_context import EvaluationContext

from flags import change as changing
from flags.evaluate import definitions
from flags.provider import FlagProvider
from tests.features.switching import flag
from tests.world import World


def test_openfeature_answers_with_the_reason_and_the_default_where_there_is_no_flag(world: World) -> None:
    changing.change(flag(), by="t", reason="t", targets=["user:u1"])
    definitions(fresh=True)
    provider = FlagProvider()
    found = provider.resolve_boolean_details("new_ui_enabled", False, EvaluationContext(targeting_key="u1"))
    assert found.value is True and found.flag_metadata["why"] == "user:u1 is targeted."
    unknown = provider.resolve_boolean_details("no_such_flag", True, EvaluationContext(targeting_key="u1"))
    assert unknown.value is True and unknown.error_code is not None
    assert provider.resolve_string_details("new_ui_enabled", "plain").value == "plain"
