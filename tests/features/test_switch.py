"""Switching features from the console, on the record."""

from __future__ import annotations

import pytest

from flags.decide import Subject, decide
from flags.models import Flag
from migration_portal.features import switch
from migration_portal.refusal import Refusal
from tests import builders
from tests.features.switching import flag
from tests.world import World


def test_the_migration_being_complete_is_derived_and_cannot_be_switched(world: World) -> None:
    assert switch.derive() is False
    with pytest.raises(Refusal, match="is derived"):
        switch.switch(flag("database_migration_complete"), by="t", reason="t", percentage=100)
    world.sample(users=80, tenants=8)
    builders.migrated(world)
    assert switch.derive() is True
    assert flag("database_migration_complete").changes.get().by == "system"


def test_once_complete_it_stays_so_until_a_person_kills_it(world: World) -> None:
    world.sample(users=80, tenants=8)
    run = builders.migrated(world)
    switch.derive()
    with world.iam() as iam:
        iam.execute(
            "INSERT INTO portal_ledger.findings (run, verification, table_name, kind, key)"
            " VALUES (%s, %s, 'users', 'differs', %s)", [run.key, run.verification, ["a"]],
        )  # fmt: skip
    assert switch.derive() is True
    complete = flag("database_migration_complete")
    assert complete.met and "Since then: Rows that differ: 1." in complete.basis
    switch.switch(complete, by="t", reason="it matters", killed=True)
    switch.derive()
    assert not decide(Flag.objects.definitions(), "database_migration_complete", Subject()).on
    switch.switch(complete, by="t", reason="it does not", killed=False)
    assert decide(Flag.objects.definitions(), "database_migration_complete", Subject()).on
