"""Reads first, as an operator does it: on, off, by a wave, and over with the move."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from flags.models import TenantHome
from migration_portal.audit.models import Event
from migration_portal.cutover import reads_first, requests, waves
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.refusal import Refusal
from tests import builders
from tests.cutover.moves import moved
from tests.world import World


def reading(tenant: str) -> bool:
    return TenantHome.objects.get(pk=tenant).reads_since is not None


def half_an_hour_later(wave: Wave) -> None:
    Wave.objects.filter(pk=wave.pk).update(reads_began_at=timezone.now() - timedelta(minutes=31))


def test_it_begins_and_goes_back_on_the_record(home: str) -> None:
    tenants = [TenantHome.objects.get(pk=home)]
    assert reads_first.reads_first(tenants, by="otto", reason="look first") == 1
    assert reading(home)
    assert reads_first.reads_back(tenants, by="otto", reason="looked") == 1
    assert not reading(home)
    assert list(Event.objects.filter(verb__startswith="reads").order_by("id").values_list("verb", "reason")) == [
        ("reads_first", "look first"), ("reads_back", "looked"),
    ]  # fmt: skip


def test_a_tenant_of_the_iam_cannot_read_first(home: str) -> None:
    assert moved(home).error == ""
    with pytest.raises(Refusal, match="None of these tenants"):
        reads_first.reads_first(TenantHome.objects.all(), by="otto")


def test_nobody_reads_first_while_something_is_not_well(world: World) -> None:
    with pytest.raises(Refusal, match="No run captures"):
        reads_first.reads_first([], by="otto")


def test_going_back_says_why(home: str) -> None:
    with pytest.raises(Refusal, match="reason"):
        reads_first.reads_back(TenantHome.objects.all(), by="otto", reason="")


def test_a_move_ends_it_also_for_the_way_back(home: str) -> None:
    reads_first.reads_first(TenantHome.objects.all(), by="otto")
    assert moved(home).error == ""
    assert not reading(home)
    assert moved(home, "legacy").error == ""
    assert not reading(home)


def test_a_wave_lets_its_tenants_read_before_their_writes_move(home: str) -> None:
    builders.decided()
    wave = waves.plan("slow", {"kind": "share", "percent": 100}, by="otto", reads_minutes=30)
    waves.start(wave, by="otto")
    wave.refresh_from_db()
    assert reading(home)
    assert "writes of its tenants move from" in wave.waits_for
    waves.tick()
    wave.refresh_from_db()
    assert not wave.runs
    half_an_hour_later(wave)
    waves.tick()
    wave.refresh_from_db()
    assert wave.runs


def test_a_wave_that_is_promoted_does_not_wait_for_reads(home: str) -> None:
    wave = waves.plan("slow", {"kind": "share", "percent": 100}, by="otto", reads_minutes=30)
    waves.start(wave, by="otto")
    waves.promote(wave, by="otto", reason="enough")
    wave.refresh_from_db()
    assert wave.runs
    assert reading(home)


def test_a_wave_that_is_stopped_gives_reads_back_to_legacy(home: str) -> None:
    wave = waves.plan("slow", {"kind": "share", "percent": 100}, by="otto", reads_minutes=30)
    waves.start(wave, by="otto")
    waves.stop(wave, by="otto", reason="complaints")
    assert not reading(home)
    assert Cutover.objects.get().state == "stopped"


def slow(**options: Any) -> Wave:
    """A wave whose reads come first, begun."""
    wave = waves.plan("slow", {"kind": "share", "percent": 100}, by="otto", reads_minutes=30, **options)
    waves.start(wave, by="otto")
    return wave


def test_a_promoted_wave_that_is_stopped_gives_reads_back_too(home: str) -> None:
    wave = slow()
    waves.promote(wave, by="otto", reason="enough")
    waves.stop(wave, by="otto", reason="complaints")
    assert not reading(home)


def test_stopping_every_move_gives_reads_back_and_resuming_begins_them_anew(home: str) -> None:
    wave = slow()
    waves.stop_all(by="otto", reason="lunch")
    assert not reading(home)
    half_an_hour_later(wave)
    waves.resume(wave, by="otto")
    wave.refresh_from_db()
    assert reading(home) and wave.waits_for.startswith("Reads first")


def test_trying_again_begins_reads_anew(home: str) -> None:
    wave = slow()
    waves.stop(wave, by="otto", reason="complaints")
    half_an_hour_later(wave)
    waves.retry(wave, by="otto", reason="mended")
    wave.refresh_from_db()
    assert reading(home) and wave.waits_for.startswith("Reads first")


def test_writes_do_not_move_after_somebody_gave_reads_back(home: str) -> None:
    builders.decided()
    wave = slow()
    reads_first.reads_back(TenantHome.objects.all(), by="otto", reason="what they read is wrong")
    half_an_hour_later(wave)
    waves.tick()
    wave.refresh_from_db()
    assert not wave.runs and wave.waits_for.startswith("Somebody gave the reads of 1")
    waves.promote(wave, by="otto", reason="it was a mistake")
    wave.refresh_from_db()
    assert wave.runs


def test_reversing_a_tenant_of_which_only_reads_are_the_iams_gives_them_back(home: str) -> None:
    reads_first.reads_first(TenantHome.objects.all(), by="otto")
    assert requests.reverse(list(TenantHome.objects.all()), by="otto", reason="bad") == []
    assert not reading(home)
