"""The audit desk: what is searched for is found, the latest first, and leaves in formats that others read."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict

from flags.models import TenantHome
from migration_portal.audit import chain, desk, exports
from migration_portal.audit.links import page_of
from migration_portal.audit.models import Event, SavedSearch
from migration_portal.refusal import Refusal
from tests import builders
from tests.console.browsing import browser, words
from tests.world import World

PLACE = "/admin/audit/event/"
ACME = "11111111-1111-4111-8111-111111111111"


def found(**said: str) -> list[str]:
    query = QueryDict(mutable=True)
    query.update(said)
    return [event.verb for event in desk.Search.of(query).page()]


@pytest.fixture
def events(world: World) -> list[Event]:
    """Six events about a run, a tenant, a person and a feature."""
    TenantHome.objects.create(tenant=ACME, name="Acme")
    return [
        chain.record("start", object_type="run", object_id="7", run=7, by="otto"),
        chain.record("cut_over", object_type="tenanthome", object_id=ACME, by="otto", reason="the first wave"),
        chain.record("accept_stray", object_type="stray", object_id="3", by="eve", data={"tenant": ACME}, reason="a late write"),
        chain.record("view_person", object_type="user", object_id="u-1", by="sue"),
        chain.record("change_flag", object_type="flag", object_id="1", by="eve",
                     data={"from": {"percentage": "0", "kind": "user"}, "to": {"percentage": "25", "kind": "user"}}),
        chain.record("ask_move", object_type="tenants", by="ann"),
    ]  # fmt: skip


def test_each_way_to_search_finds_its_events_latest_first(events: list[Event]) -> None:
    assert found()[0] == "ask_move" and len(found()) == 6
    assert found(actor="eve") == ["change_flag", "accept_stray"]
    assert found(verb="request_move") == ["ask_move"]
    assert found(object_type="run") == found(run="7") == found(run="Run 7") == ["start"]
    assert found(tenant=ACME) == ["accept_stray"]
    assert found(actor="otto", object_id=ACME) == ["cut_over"]
    assert found(actor="otto", verb="change_flag") == []


def test_anything_is_a_tenant_an_operator_an_id_or_words(events: list[Event]) -> None:
    assert found(q="Acme") == ["accept_stray", "cut_over"]
    assert found(q="sue") == ["view_person"]
    assert found(q="u-1") == ["view_person"]
    assert found(q="wave first") == ["cut_over"]
    assert found(q="nobody") == []


def test_anything_is_a_person_of_the_iam(world: World) -> None:
    builders.legacy_tables(world)
    acme = builders.tenant(world)
    id = builders.user(world, acme, email="ann@example.org")
    builders.migrated(world)
    chain.record("view_person", object_type="user", object_id=str(id), by="sue")
    assert found(q="ann@example.org") == ["view_person"]


def test_times_bound_a_search_and_pages_follow_each_other(world: World) -> None:
    many = [chain.record("start", by="otto", reason=str(n)) for n in range(desk.PAGE * 2 + 1)]
    since = (many[10].at - timedelta(microseconds=1)).isoformat()
    assert desk.Search(since=since, until=many[12].at.isoformat()).everything().count() == 3
    client = browser("viewer")
    seen, page = [], client.get(PLACE)
    for _ in range(5):
        seen += [event.reason for event, _ in page.context["shown"]]
        if not page.context["after"]:
            break
        page = client.get(f"{PLACE}?{page.context['after']}")
    assert seen == [str(n) for n in reversed(range(desk.PAGE * 2 + 1))]


@pytest.mark.parametrize("said", [{"run": "x"}, {"since": "soon"}, {"before": "x"}, {"before": "2026-01-01T00:00/x"}])
def test_what_cannot_be_searched_for_is_said_in_words(world: World, said: dict[str, str]) -> None:
    with pytest.raises(Refusal):
        found(**said)
    page = browser("viewer").get(PLACE, said)
    assert page.status_code == 200 and "That is no" in words(page)


def test_facets_count_the_latest_that_match(events: list[Event]) -> None:
    page = browser("viewer").get(PLACE, {"q": "Acme"})
    assert [(text, count) for text, count, _ in page.context["facets"]["actor"]] == [("eve", 1), ("otto", 1)]
    assert "actor=eve" in page.content.decode()


def test_an_event_shows_what_it_changed_and_leads_to_its_object(events: list[Event]) -> None:
    page = words(browser("viewer").get(f"{PLACE}{events[4].pk}/change/"))
    assert "percentage 0 25" in page.lower() and "kind" not in page.lower()
    assert (
        f"object_type=tenanthome&amp;object_id={ACME}"
        in browser("operator").get(page_of("tenanthome", ACME)).content.decode()
    )
    assert page_of("tenanthome", ACME) == f"/admin/cutover/tenant/{ACME}/"
    assert page_of("run", "7") == "/admin/runs/run/7/change/"
    assert page_of("user", "5").startswith("/admin/auth/user/5/") and page_of("user", "u-1") == "/admin/support/u-1/"
    assert page_of("event", "") == page_of("nothing", "1") == ""
    assert browser("support").get(f"{PLACE}nonsense/change/").status_code == 404


def test_a_search_is_kept_shared_and_forgotten(events: list[Event]) -> None:
    support = browser("support")
    support.post(f"{PLACE}save/", {"query": "actor=eve&before=x", "name": "Eve's", "shared": "yes"})
    assert SavedSearch.objects.get().query == "actor=eve"
    assert "You have a search of that name" in words(
        support.post(f"{PLACE}save/", {"query": "actor=a", "name": "Eve's"}, follow=True)
    )
    viewer = browser("viewer")
    assert "Eve's" in words(viewer.get(PLACE))
    viewer.post(f"{PLACE}forget/", {"search": SavedSearch.objects.get().pk})
    assert SavedSearch.objects.exists()
    support.post(f"{PLACE}forget/", {"search": SavedSearch.objects.get().pk})
    assert not SavedSearch.objects.exists()


def test_an_export_in_each_format_has_what_the_search_found_and_is_on_record(events: list[Event]) -> None:
    support = browser("support")

    def told(name: str) -> str:
        return support.get(f"{PLACE}export/", {"format": name, "actor": "eve"}).getvalue().decode()

    rows = list(csv.DictReader(StringIO(told("csv"))))
    assert [row["verb"] for row in rows] == ["accept_stray", "change_flag"]
    lines = [json.loads(line) for line in told("ocsf").splitlines()]
    assert [line["metadata"]["event_code"] for line in lines] == ["accept_stray", "change_flag"]
    for line in lines:
        assert line["type_uid"] == line["class_uid"] * 100 + line["activity_id"] and line["category_uid"] == 3
        assert line["actor"]["user"]["name"] == "eve" and line["time"] > 1.7e12
    assert len(told("jsonl").splitlines()) == 3
    assert Event.objects.filter(verb="export", data__count=2).count() == 3
    assert support.get(f"{PLACE}export/?format=xml").status_code == 404


def test_a_spreadsheet_runs_nothing_of_what_somebody_wrote(world: World) -> None:
    chain.record("start", reason="=HYPERLINK(1)")
    assert "'=HYPERLINK" in "".join(exports.as_csv(Event.objects.all()))


@pytest.mark.parametrize(
    "said", [{"actor": "otto"}, {"verb": "start"}, {"object_id": "7"}, {"run": "7"}, {"tenant": ACME}]
)
def test_a_search_reads_an_index_not_the_log(world: World, said: dict[str, Any]) -> None:
    builders.many_events(2000)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
    plan = desk.Search(**said)._rows()[: desk.PAGE].explain()
    assert "Seq Scan" not in plan and "audit_by" in plan, plan
