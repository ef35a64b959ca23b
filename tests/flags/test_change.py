"""Changing flags, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from flags import change as changing
from flags.decide import Subject
from flags.evaluate import explain
from flags.models import Flag
from migration_portal.features import switch
from migration_portal.refusal import Refusal
from tests.features.switching import flag
from tests.world import World


def test_killing_a_parent_takes_its_children_along(world: World) -> None:
    changing.derive("database_migration_complete", met=True, basis="test")
    for name in ("oauth2_enabled", "social_login_enabled"):
        changing.change(flag(name), by="t", reason="t", percentage=100)
    assert explain("social_login_enabled", Subject("u"), fresh=True).on
    changing.kill(flag("oauth2_enabled"), by="t", reason="t")
    assert not explain("social_login_enabled", Subject("u"), fresh=True).on


def test_a_circle_of_prerequisites_is_refused_and_changes_nothing(world: World) -> None:
    with pytest.raises(Refusal, match="in a circle"):
        switch.switch(flag("new_ui_enabled"), by="t", reason="t", requires=[flag("new_ui_enabled")])
    assert not flag("new_ui_enabled").requires.exists()


def test_a_flag_can_be_taken_back_to_nobody(world: World) -> None:
    for percentage in (10, 0):
        switch.switch(flag(), by="t", reason="t", percentage=percentage)
        assert flag().percentage == percentage


@pytest.mark.parametrize(
    ("values", "words"),
    [({"percentage": 101}, "not a percentage"), ({"targets": ["ann@example.org"]}, "E-mails are not ids")],
)
def test_bad_values_are_refused_in_words(world: World, values: dict, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        switch.switch(flag(), by="t", reason="t", **values)


@pytest.mark.parametrize(
    ("values", "wider"),
    [
        ({"percentage": 11}, True), ({"percentage": 10}, False), ({"percentage": 9}, False),
        ({"targets": ["user:a", "user:b"]}, True), ({"targets": []}, False),
        ({"excluded": []}, True), ({"excluded": ["user:x", "user:y"]}, False),
        ({"waves": ["one", "two"]}, True), ({"waves": []}, False),
        ({"killed": True}, False), ({"kind": "tenant"}, True), ({"salt": "other"}, True), ({"bucket_group": "g"}, True),
    ],
)  # fmt: skip
def test_what_turns_a_flag_on_for_somebody_is_widening(values: dict, wider: bool) -> None:
    as_it_is = Flag(percentage=Decimal(10), targets=["user:a"], excluded=["user:x"], waves=["one"], kind="user")
    assert changing.widens(as_it_is, **values) is wider


def test_bringing_a_killed_flag_back_is_widening() -> None:
    assert changing.widens(Flag(killed=True), killed=False)
    assert not changing.widens(Flag(killed=True), killed=True)
