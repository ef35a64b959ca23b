"""The audit log's head outside the database: whoever rewrites every event and the whole chain is found out."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from joserfc import jws
from joserfc.jwk import ECKey

from migration_portal.audit import anchors, chain
from migration_portal.audit.models import Event
from migration_portal.audit.tasks import anchor
from migration_portal.refusal import Refusal
from tests.console.browsing import browser
from tests.world import World


@pytest.fixture(autouse=True)
def place(world: World, settings: Any, tmp_path: Path) -> Path:
    settings.AUDIT_ANCHORS = str(tmp_path / "anchors")
    return tmp_path / "anchors"


def events(count: int) -> None:
    for n in range(count):
        chain.record("start", data={"count": n})


def rewrite(first: int, *, dropping: int = 0) -> None:
    """What the database's owner can do: change an event, or drop one, and compute the chain anew over what is left."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        if dropping:
            cursor.execute("DELETE FROM audit_event WHERE id = %s", [dropping])
        cursor.execute("UPDATE audit_event SET actor = 'nobody' WHERE id = %s", [first])
        previous = chain.GENESIS
        for event in Event.objects.order_by("id"):
            event.previous = previous
            event.digest = previous = chain.digest(event)
            event.save()
        cursor.execute("ALTER TABLE audit_event ENABLE TRIGGER USER")


def test_an_untouched_log_agrees_with_its_anchors(place: Path) -> None:
    for count in (3, 0, 2):
        events(count)
        assert anchors.write() == count
    assert len(list(place.iterdir())) == 2
    assert anchors.verify() == chain.Verdict(5, anchored=Event.objects.order_by("-id").values_list("pk", flat=True)[0])


def test_a_chain_that_was_computed_anew_is_found_at_its_first_event(world: World) -> None:
    events(3)
    anchors.write()
    events(3)
    anchors.write()
    ids = list(Event.objects.order_by("id").values_list("pk", flat=True))
    rewrite(ids[4])
    assert chain.verify().intact
    verdict = anchors.verify()
    assert verdict.broken_at == ids[4] and "differs from the anchor" in verdict.why


def test_the_newest_events_cannot_be_cut_off(world: World) -> None:
    events(3)
    anchors.write()
    last = Event.objects.order_by("-id").values_list("pk", flat=True)[0]
    rewrite(0, dropping=last)
    assert chain.verify().intact
    assert anchors.verify().broken_at == last


@pytest.mark.parametrize("tampering", ["removed", "replaced", "signed by another"])
def test_an_anchor_that_is_missing_or_made_up_is_named(place: Path, settings: Any, tampering: str) -> None:
    for _ in range(3):
        events(2)
        anchors.write()
    second = sorted(place.iterdir())[1]
    if tampering == "removed":
        second.unlink()
    elif tampering == "replaced":
        second.write_bytes(sorted(place.iterdir())[0].read_bytes())
    else:
        second.unlink()
        settings.AUDIT_ANCHOR_KEY = "somebody else's"
        second.write_text(anchors._SIGNER.sign({"at": "x", "previous": "", "digests": [[4, "x"]]}))
        settings.AUDIT_ANCHOR_KEY = ""
    verdict = anchors.verify()
    assert not verdict.intact and "anchor" in verdict.why


def test_many_events_make_several_anchors(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "_MOST", 2)
    events(5)
    assert anchors.write() == 5
    assert len(list(place.iterdir())) == 3 and anchors.verify().intact


def test_the_clock_anchors_and_says_why_not(place: Path, settings: Any, caplog: Any) -> None:
    events(1)
    anchor()
    assert len(list(place.iterdir())) == 1
    events(1)
    settings.AUDIT_ANCHORS = "/proc/nowhere"
    anchor()
    assert "audit_not_anchored" in caplog.text
    with pytest.raises(Refusal, match="cannot be anchored"):
        anchors.write()


def test_an_auditor_verifies_an_anchor_with_the_public_key_alone(place: Path) -> None:
    events(2)
    anchors.write()
    public = ECKey.import_key(anchors.public_key())
    body = json.loads(jws.deserialize_compact(next(place.iterdir()).read_bytes(), public, ["ES256"]).payload)
    assert [id for id, _ in body["digests"]] == list(Event.objects.order_by("id").values_list("pk", flat=True))
    assert "d" not in anchors.public_key()


def test_an_export_ends_with_the_signed_head_and_anchors_it(place: Path) -> None:
    events(3)
    client = browser("support")
    told = client.get("/admin/audit/event/export/?actor=system").getvalue().decode().splitlines()
    assert [json.loads(line)["verb"] for line in told[:-1]] == ["start"] * 3
    head = json.loads(jws.deserialize_compact(json.loads(told[-1])["head"], anchors._SIGNER.key(), ["ES256"]).payload)
    assert head["head"][1] == Event.objects.order_by("-id").values_list("digest", flat=True)[0]
    assert len(list(place.iterdir())) == 1
    assert browser("viewer").get("/admin/audit/event/export/").status_code == 403


def test_the_page_says_when_it_was_anchored_and_what_differs(world: World) -> None:
    events(2)
    client = browser("support")
    assert "no anchor says so yet" in client.post("/admin/audit/event/verify/", follow=True).content.decode()
    anchors.write()
    assert "anchors agree" in client.post("/admin/audit/event/verify/", follow=True).content.decode()
    first = Event.objects.order_by("id").values_list("pk", flat=True)[0]
    rewrite(first)
    assert f"broken at event {first}" in client.post("/admin/audit/event/verify/", follow=True).content.decode()


@pytest.fixture
def s3(settings: Any) -> Iterator[None]:
    """A store that speaks S3's protocol."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(urllib.request.Request(f"{url}/vault", method="PUT"), timeout=2)
            break
        except OSError:
            time.sleep(0.1)
    settings.AUDIT_ANCHORS = "s3://vault/anchors"
    settings.AUDIT_ANCHORS_OPTIONS = {
        "key": "x",
        "secret": "y",
        "client_kwargs": {"endpoint_url": url, "region_name": "us-east-1"},
    }
    yield
    process.kill()
    process.wait()


def test_anchors_are_kept_in_a_store_that_speaks_s3(s3: None) -> None:
    for count in (2, 3):
        events(count)
        assert anchors.write() == count
    assert anchors.verify().intact and anchors.verify().anchored
    rewrite(Event.objects.order_by("id").values_list("pk", flat=True)[3])
    assert not anchors.verify().intact


def test_anchors_of_an_earlier_key_still_count(settings: Any) -> None:
    events(2)
    anchors.write()
    settings.AUDIT_ANCHOR_KEY = "a new one"
    events(2)
    anchors.write()
    assert anchors.verify().intact
    settings.AUDIT_ANCHOR_KEY, settings.AUDIT_ANCHOR_OLD_KEYS = "the next", ["a new one"]
    assert anchors.verify().intact
    settings.AUDIT_ANCHOR_OLD_KEYS = []
    assert "not written with our key" in anchors.verify().why


def test_two_who_anchor_at_once_make_one_chain_of_anchors(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events(6)
    before = anchors._waiting

    def slowly() -> int:
        found = before()
        time.sleep(0.2)  # the others have looked, too
        return found

    monkeypatch.setattr(anchors, "_waiting", slowly)

    written: list[int] = []

    def write() -> None:
        written.append(anchors.write())
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [0, 0, 0, 6]
    assert anchors.verify().intact and len(list(place.iterdir())) == 1


def test_a_store_that_is_away_is_said(settings: Any) -> None:
    events(1)
    settings.AUDIT_ANCHORS = "s3://vault/anchors"
    settings.AUDIT_ANCHORS_OPTIONS = {
        "key": "x", "secret": "y", "client_kwargs": {"endpoint_url": "http://127.0.0.1:9", "region_name": "us-east-1"},
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }  # fmt: skip
    with pytest.raises(Refusal):
        anchors.write()
    with pytest.raises(Refusal):
        anchors.verify()
    assert browser("support").get("/admin/audit/event/").status_code == 200
