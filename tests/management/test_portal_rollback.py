"""Rolling back from a terminal."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from flags import maintenance
from flags.models import Flag
from migration_portal.backups.models import Backup
from migration_portal.monitoring.models import Heartbeat
from migration_portal.rollback import validating
from migration_portal.rollback.models import RollBack
from tests.world import World


def portal(*arguments: str) -> str:
    out = io.StringIO()
    call_command("portal", *arguments, stdout=out)
    return out.getvalue()


def test_it_ends_with_the_log(rolled_back: World) -> None:
    told = portal("roll_back", "partial", "--feature", "oauth2_enabled", "--reason", "sign-ins fail")
    assert "done        Switch features off: Off for everybody: oauth2_enabled." in told
    assert "Type: partial" in told and "Reason: sign-ins fail" in told
    assert Flag.objects.get(name="oauth2_enabled").killed


def test_as_json(rolled_back: World) -> None:
    body = json.loads(portal("roll_back", "gradual", "--reason", "complaints", "--rehearse", "--json"))
    assert body["state"] == "done" and body["log"]["Type"] == "gradual, rehearsal"


def test_what_asks_ends_with_a_refusal_that_says_so(rolled_back: World) -> None:
    Backup.objects.create(side="legacy", place="x", requested_by="t", level=3, finished_at="2026-11-01T00:00:00Z")
    backup = str(Backup.objects.get().pk)
    with pytest.raises(CommandError, match="It asks first"):
        portal("roll_back", "full", "--backup", backup, "--reason", "a drill")
    assert RollBack.objects.get().state == "asks" and maintenance.current() is not None
    with pytest.raises(CommandError, match="It is under way"):
        portal("roll_back", "gradual", "--reason", "x")


def test_it_is_followed_and_decided_from_a_terminal(rolled_back: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validating, "_SETTLING", timedelta(0))
    with pytest.raises(CommandError, match="No roll-back is under way"):
        portal("go_on")
    Heartbeat.objects.create(name="queue celery", at="2026-01-01T00:00:00Z")
    Heartbeat.objects.create(name="queue follow", at=timezone.now())
    with pytest.raises(CommandError, match="No heartbeat.*portal go_on"):
        portal("roll_back", "front_end", "--feature", "oauth2_enabled", "--reason", "blank pages")
    with pytest.raises(CommandError, match="No heartbeat"):
        portal("go_on", "--retry")
    told = portal("go_on", "--skip", "known")
    assert "skipped     Every part of the product is well" in told and "Type: front end" in told


def test_an_immediate_one_names_a_wave_that_is_there(rolled_back: World) -> None:
    for wave in ([], ["--wave", "nosuch"]):
        with pytest.raises(CommandError, match="None of its tenants lives in the IAM"):
            portal("roll_back", "immediate", "--reason", "x", *wave)


def test_doors(rolled_back: World) -> None:
    assert "The doors are closed." in portal("doors", "closed", "--reason", "a drill", "--minutes", "5")
    with pytest.raises(CommandError, match="closed already"):
        portal("doors", "closed", "--reason", "a drill")
    assert "The doors are open." in portal("doors", "open")
    for minutes in ("0", "-5", "99999999999"):
        with pytest.raises(CommandError, match="no time to expect"):
            portal("doors", "closed", "--reason", "a drill", "--minutes", minutes)
