"""What a stranger did to archives: laundered, overwrote, emptied and interrupted them."""

from __future__ import annotations

import contextlib
import io
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.exceptions import IrreversibleError

from migration_portal.audit import anchors, archives, chain, store
from migration_portal.audit.models import Archive, Event
from migration_portal.audit.stretches import stretches
from migration_portal.audit.tasks import anchor
from migration_portal.refusal import Refusal
from migration_portal.retention import archiving, holding
from tests.console.browsing import browser, words
from tests.retention.test_archiving import archived as archived_before
from tests.retention.test_archiving import months as months
from tests.retention.test_archiving import place as place
from tests.world import World

_EVER = datetime(2300, 1, 1, tzinfo=UTC)
_EVENT = (
    "INSERT INTO audit_event (id, at, actor, verb, object_type, object_id, reason, request_id, data, previous, digest)"
    " VALUES (%s, '2025-01-01', 'x', 'x', '', '', '', '', '{}', 'x', 'x')"
)


def archived(before: datetime = _EVER) -> list[Archive]:
    return archived_before(before)


def once(monkeypatch: Any, module: Any, name: str, meanwhile: Any, *, after: bool = False) -> None:
    """Something happens before, or after, the first call of the function."""
    kept, calls = getattr(module, name), []

    def late(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == 1 and not after:
            meanwhile()
        answer = kept(*arguments, **named)
        if len(calls) == 1 and after:
            meanwhile()
        return answer

    monkeypatch.setattr(module, name, late)


def rewrite() -> None:
    """As the database's owner: change who did the first event, and the whole chain after it."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        previous = chain.GENESIS
        for event in Event.objects.order_by("id"):
            event.actor = "alice" if previous == chain.GENESIS else event.actor
            event.previous = previous
            event.digest = previous = chain.digest(event)
            event.save()
        cursor.execute("ALTER TABLE audit_event ENABLE TRIGGER USER")


def test_what_differs_from_its_anchors_is_not_archived(months: list[datetime]) -> None:
    anchors.write()
    rewrite()
    with pytest.raises(Refusal, match="differs from the anchor"):
        archived()
    assert not Archive.objects.exists() and anchors.verify().broken_at == 1


def test_a_file_that_an_owner_of_our_key_wrote_anew_still_differs_from_the_anchors(months: list[datetime]) -> None:
    anchors.write()
    rewrite()
    with pytest.MonkeyPatch.context() as blind:
        blind.setattr(anchors, "verify", lambda: chain.Verdict(0))
        archived(months[1])
    verdict = anchors.verify(files=True)
    assert verdict.broken_at is not None and "differs from the anchor" in verdict.why


def test_an_archive_of_another_portal_in_the_same_place_is_not_overwritten(months: list[datetime], place: Path) -> None:
    (place / "archived").mkdir(parents=True)
    theirs = place / "archived" / f"{1:020d}-{2:020d}-0123456789abcdef.jsonl.gz"
    theirs.write_bytes(b"the only copy of what another portal removed")
    archived(months[1])
    assert theirs.read_bytes() == b"the only copy of what another portal removed" and anchors.verify(files=True).intact


@pytest.mark.parametrize("where", [(archives, "written"), (archiving, "_written")], ids=["reading", "before"])
def test_two_terminals_at_once_leave_one_whole_archive(months: list[datetime], monkeypatch: Any, where: Any) -> None:
    once(monkeypatch, *where, lambda: archived(months[1]))
    with contextlib.suppress(Refusal):
        archived(months[1])
    assert anchors.verify(files=True).intact and Archive.objects.count() == 1


def test_a_store_that_writes_something_else_is_told_in_words(months: list[datetime], monkeypatch: Any) -> None:
    whole = store.write

    def half(name: str, file: Any) -> None:
        file.seek(0)
        whole(name, io.BytesIO(file.read()[:-9]) if "archived" in name else file)

    monkeypatch.setattr(store, "write", half)
    with pytest.raises(Refusal, match="is not what was written"):
        archived(months[1])
    assert len(stretches()) == 4


@pytest.mark.parametrize("where", [(anchors, "_names"), (chain, "follow")], ids=["anchors", "chain"])
def test_a_verification_during_an_archiving_cries_no_wolf(months: list[datetime], monkeypatch: Any, where: Any) -> None:
    anchors.write()
    once(monkeypatch, *where, lambda: archived(months[1]))
    assert anchors.verify().intact and Archive.objects.exists()


@pytest.mark.parametrize("id", [-5, 0])
def test_an_event_before_all_others_is_in_no_archive_and_stays(months: list[datetime], id: int) -> None:
    """The portal's own role may insert one: verification names it."""
    connection.cursor().execute(_EVENT, [id])
    with pytest.raises(Refusal):
        archived(months[1])
    assert Event.objects.filter(pk=id).exists()


def test_an_event_that_comes_while_the_file_is_written_is_not_lost(months: list[datetime], monkeypatch: Any) -> None:
    once(monkeypatch, archiving, "_written", lambda: connection.cursor().execute(_EVENT, [-1]), after=True)
    with pytest.raises(Refusal, match="changed since it was written"):
        archived(months[1])
    assert Event.objects.filter(pk=-1).exists()


def test_the_file_is_on_disk_before_its_events_are_removed(months: list[datetime], monkeypatch: Any) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def seen(number: int) -> None:
        synced.append(Path(f"/proc/self/fd/{number}").readlink().name)
        fsync(number)

    monkeypatch.setattr(os, "fsync", seen)
    archived(months[1])
    assert any(name.endswith(".jsonl.gz.part") for name in synced)


def test_a_hold_that_is_placed_meanwhile_keeps_the_events(months: list[datetime], monkeypatch: Any) -> None:
    def hold() -> None:
        holding.place("Case 7", date(2025, 7, 1), date(2025, 7, 31), by="eve", reason="x")

    once(monkeypatch, archiving, "_written", hold, after=True)
    with pytest.raises(Refusal, match="held since"):
        archived()
    assert len(stretches()) == 4


def test_the_last_of_all_ids_ends_no_cutting(months: list[datetime]) -> None:
    connection.cursor().execute(_EVENT, [2**63 - 1])
    anchor()


def test_archives_are_not_migrated_away(months: list[datetime]) -> None:
    archived(months[1])
    with pytest.raises(IrreversibleError, match="Restore a backup"):
        call_command("migrate", "audit", "0003", verbosity=0)
    call_command("migrate", verbosity=0)
    assert anchors.verify(files=True).intact


def test_without_archives_the_log_goes_back_to_one_table_and_forward_again(months: list[datetime]) -> None:
    call_command("migrate", "audit", "0003", verbosity=0)
    chain.record("start")
    with pytest.raises(Exception, match="append-only"):
        connection.cursor().execute("DELETE FROM audit_event")
    call_command("migrate", verbosity=0)
    chain.record("start")
    connection.cursor().execute("SELECT audit_event_cut()")
    chain.record("start")
    assert archived() and anchors.verify(files=True).intact


def test_two_holds_can_wait_for_a_second_person(rolled_back: World, settings: Any) -> None:
    settings.APPROVALS = ["release_hold"]
    client = browser("approver")
    for name in ("Case 1", "Case 2"):
        hold = holding.place(name, date(2026, 1, 1), None, by="otto", reason="r")
        answer = client.post(f"/admin/retention/hold/{hold.pk}/release/", {"reason": "settled"}, follow=True)
        assert "a second person has to agree" in words(answer)
