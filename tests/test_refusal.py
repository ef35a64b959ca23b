"""Refusals say what, about what, and what to do."""

import pytest

from migration_portal.refusal import Refusal, require_reason


def test_a_refusal_names_its_subject_and_the_remedy() -> None:
    assert str(Refusal("It is full.", subject="disk", todo="Make room.")) == "disk: It is full. Make room."
    assert str(Refusal("No.")) == "No."


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_blank_reason_is_refused(reason: str) -> None:
    with pytest.raises(Refusal, match="run 1: Undo needs a reason. Say why"):
        require_reason(reason, to="Undo", subject="run 1")


def test_any_other_reason_is_enough() -> None:
    require_reason("practice", to="Undo")
