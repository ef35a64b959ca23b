"""Old stretches of the audit log go to signed files; the chain, its anchors and the files are verified as before."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from migration_portal.audit import anchors, chain
from migration_portal.audit.models import Archive, Event
from migration_portal.audit.stretches import cut_monthly, stretches
from migration_portal.refusal import Refusal
from migration_portal.retention import archiving, holding
from migration_portal.retention.models import Hold
from tests.world import World

SUMMER = datetime(2025, 7, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def place(world: World, settings: Any, tmp_path: Path) -> Path:
    settings.AUDIT_ANCHORS = str(tmp_path / "anchors")
    return tmp_path / "anchors"


@pytest.fixture
def months(monkeypatch: Any) -> list[datetime]:
    """Two events in each of three months, each a stretch, and one of today."""
    begun = [SUMMER + timedelta(days=31 * n) for n in range(3)]
    for at in begun:
        with monkeypatch.context() as then:
            then.setattr("django.utils.timezone.now", lambda at=at: at)
            cut_monthly()
            chain.record("start", object_type="run", object_id="7", data={"from": {"a": "ä\n"}, "to": None})
            chain.record("undo", reason="ünicode — “quoted”")
    cut_monthly()
    chain.record("start")
    return begun


def archived(before: datetime) -> list[Archive]:
    return archiving.archive(before, by="otto", reason="the policy")


def test_each_month_is_a_stretch_and_the_last_is_open(months: list[datetime]) -> None:
    found = stretches()
    assert [each.open for each in found] == [False, False, False, True]
    assert [(each.first, each.last) for each in found] == [(1, 2), (3, 4), (5, 6), (7, 7)]
    assert [each.since for each in found[:3]] == months and not cut_monthly()


def test_what_is_archived_is_gone_and_the_chain_goes_on(months: list[datetime], place: Path) -> None:
    assert [str(each) for each in archived(months[2])] == ["Events 1 to 2", "Events 3 to 4"]
    assert list(Event.objects.order_by("id").values_list("id", "verb")) == [
        (5, "start"), (6, "undo"), (7, "start"), (8, "archive_events"), (9, "archive_events"),
    ]  # fmt: skip
    verdict = anchors.verify(files=True)
    assert verdict.intact and (verdict.events, verdict.archived) == (5, 4), verdict
    assert "4 before them were archived" in str(verdict)
    chain.record("start")
    anchors.write()
    assert anchors.verify(files=True).intact
    [file, _] = sorted((place / "archived").glob("*.gz"))
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert [line["id"] for line in lines] == [1, 2] and lines[1]["reason"] == "ünicode — “quoted”"


def test_all_that_is_closed_may_go(months: list[datetime]) -> None:
    connection.cursor().execute("SELECT audit_event_cut()")
    assert len(archived(datetime(2300, 1, 1, tzinfo=UTC))) == 4
    assert anchors.verify(files=True).intact and Event.objects.count() == 4


def test_what_is_held_stays_whatever_its_age_until_it_is_released(months: list[datetime]) -> None:
    hold = holding.place("Case 7", date(2025, 8, 31), date(2025, 9, 9), by="eve", reason="a court asks")
    wide = holding.place("Case 8", date(2025, 8, 1), None, by="eve", reason="another")
    holding.release(wide, by="ann", reason="settled")
    day = holding.place("Case 9", months[1].date(), months[1].date(), by="eve", reason="another")
    assert [each.first for each in archived(datetime.now(UTC))] == [1, 5]
    assert anchors.verify(files=True).intact
    holding.release(day, by="ann", reason="settled")
    assert [each.first for each in archived(datetime.now(UTC))] == [3]
    assert anchors.verify(files=True).intact and Hold.objects.standing().get() == hold


def test_a_gap_without_a_statement_of_ours_is_a_broken_chain(months: list[datetime]) -> None:
    archived(months[1])
    anchors.write()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE audit_stretches.stretch_2")
    verdict = anchors.verify()
    assert verdict.broken_at == 5 and "missing" in verdict.why
    one = Archive.objects.get()
    forged = json.dumps({"first": 3, "last": 4, "events": 2, "previous": "", "digest": "", "file": "", "checksum": ""})
    Archive.objects.create(first=3, last=4, events=2, since=one.since, until=one.until, file="", statement=forged,
                           at=one.at, by="", reason="")  # fmt: skip
    assert "not signed with our key" in str(anchors.verify())


@pytest.mark.parametrize("field", ["first", "last", "events", "file"])
def test_an_archive_that_says_otherwise_than_its_statement_is_named(months: list[datetime], field: str) -> None:
    [one] = archived(months[1])
    Archive.objects.update(**{field: 3 if field != "file" else "another"})
    assert anchors.verify().why == "its archive was not signed with our key" and one.pk


def test_a_lost_record_of_an_archive_breaks_the_chain(months: list[datetime]) -> None:
    archived(months[1])
    Archive.objects.all().delete()
    assert anchors.verify().broken_at == 3


def test_the_same_archive_twice_says_nothing_new_but_with_other_events_is_named(months: list[datetime]) -> None:
    [one] = archived(months[1])
    one.pk = None
    one.save()
    assert anchors.verify().intact  # twice the same says nothing new
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_archive SET statement = %s, first = 2 WHERE id = %s", [one.statement, one.pk])
    assert not anchors.verify().intact


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_file_that_is_another_is_found_when_files_are_asked_for(
    months: list[datetime], place: Path, how: str
) -> None:
    archived(months[1])
    [file] = (place / "archived").glob("*.gz")
    if how == "removed":
        file.unlink()
        with pytest.raises(Refusal, match="cannot be read"):
            anchors.verify(files=True)
    else:
        file.write_bytes(file.read_bytes()[:-9] + b"x" * 9)
        assert "another file" in anchors.verify(files=True).why
    assert anchors.verify().intact


def test_a_broken_stretch_is_evidence_and_stays(months: list[datetime]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_event SET actor = 'nobody' WHERE id = 3")
        cursor.execute("ALTER TABLE audit_event ENABLE TRIGGER USER")
    with pytest.raises(Refusal, match="fields were changed.*evidence"):
        archived(datetime.now(UTC))
    assert not Archive.objects.exists() and stretches()[0].first == 1


def test_a_store_that_is_away_removes_nothing(months: list[datetime], settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings.AUDIT_ANCHORS = str(tmp_path / "file")
    with pytest.raises(Refusal):
        archived(months[1])
    assert len(stretches()) == 4 and not Archive.objects.exists()


def test_who_reads_the_log_is_waited_for_a_moment_only(world: World, months: list[datetime]) -> None:
    with world.portal() as reader, reader.transaction():
        reader.execute("SELECT * FROM audit_event")
        with pytest.raises(Refusal, match="being read"):
            archived(months[1])
        chain.record("start")  # nobody waits any more
    assert len(archived(months[1])) == 1


def test_the_setting_says_how_long_events_are_kept(months: list[datetime], settings: Any) -> None:
    with pytest.raises(Refusal, match="AUDIT_RETENTION_MONTHS"):
        archiving.before_which(None)
    settings.AUDIT_RETENTION_MONTHS = 11
    before = archiving.before_which(None)
    assert (before.day, before.hour) == (1, 0) and 330 < (datetime.now(UTC) - before).days < 366
    assert archiving.before_which(date(2025, 8, 1)) == datetime(2025, 8, 1, tzinfo=UTC)
    with pytest.raises(Refusal, match="keeps events for 11 months"):
        archiving.before_which(datetime.now(UTC).date())


def test_a_terminal_says_what_it_would_archive_and_archives_it(months: list[datetime], capsys: Any) -> None:
    call_command("portal", "archive_audit", "--before", "2025-08-20", "--dry-run")
    assert "Events 1 to 2, 2025-07-10 to 2025-07-10: would be archived." in capsys.readouterr().out
    assert not Archive.objects.exists()
    call_command("portal", "archive_audit", "--before", "2025-08-20", "--reason", "the policy", "--json")
    told = json.loads(capsys.readouterr().out)
    assert [each["first"] for each in told["archived"]] == [1, 3] and told["next_steps"]
    call_command("portal", "verify_audit", "--archives")
    assert "4 before them were archived" in capsys.readouterr().out
