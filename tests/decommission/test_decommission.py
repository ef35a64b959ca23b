"""What still needs the legacy system: it shrinks as it is dealt with, and the end is told from the trend."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from flags.models import TenantHome
from legacy_compat.models import LegacyRequest
from migration_portal.cutover import finalize
from migration_portal.decommission import trend
from migration_portal.decommission.remaining import remaining
from migration_portal.refusal import Refusal
from tests import builders
from tests.cutover.conftest import home as home  # the fixture
from tests.cutover.moves import iam, moved
from tests.world import World


def counts() -> dict[str, int]:
    return {row.what: row.count for row in remaining()}


def test_the_list_shrinks_as_things_are_dealt_with(world: World, home: str) -> None:
    LegacyRequest.objects.create(
        at=timezone.now(), request_id="r", method="POST", endpoint="auth/login", version="v1", client="old-app", home="legacy",
        tenant=home, user="u", status=200, milliseconds=1,
    )  # fmt: skip
    before = counts()
    assert (
        before["tenants still at home in legacy"] == 1 and before["clients that legacy answered in the last week"] == 1
    )
    assert before["users who may hold a token that legacy issued"] == 1
    assert before["objects of ours in the databases"] == 1
    moved(home)
    after = counts()
    assert (after["tenants still at home in legacy"], after["tenants that could still be reversed"]) == (0, 1)
    finalize.finalize_tenant(home, by="tester", reason="done")
    assert counts()["tenants that could still be reversed"] == 0
    finalize.finalize(by="tester", reason="done")
    LegacyRequest.objects.update(at=timezone.now() - timedelta(days=8))
    left = [row for row in remaining() if not row.done]
    assert [row.what for row in left] in ([], ["endpoints that are still passed on to legacy"])


def test_a_database_that_is_away_is_a_thing_to_do_and_no_error(world: World, home: str, settings: Any) -> None:
    settings.IAM_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    assert any(row.what == "could not be asked" and "IAM database" in row.some[0] for row in remaining())


def test_one_tenant_is_finalized_and_never_moves_back(world: World, home: str) -> None:
    with pytest.raises(Refusal, match="at home in legacy"):
        finalize.finalize_tenant(home, by="tester", reason="early")
    moved(home)
    with pytest.raises(Refusal, match="needs a reason"):
        finalize.finalize_tenant(home, by="tester", reason="")
    iam(world, "INSERT INTO portal_capture.queue (table_name, key, tenant) VALUES ('users', '{a}', %s)", home)
    with pytest.raises(Refusal, match="legacy has not got yet: 1"):
        finalize.finalize_tenant(home, by="tester", reason="done")
    iam(world, "DELETE FROM portal_capture.queue")
    finalize.finalize_tenant(home, by="tester", reason="done")
    assert TenantHome.objects.get(pk=home).final
    assert "finalized" in moved(home, "legacy").error
    with pytest.raises(Refusal, match="finalized already"):
        finalize.finalize_tenant(home, by="tester", reason="again")


def test_the_page_and_the_terminal_tell_the_same(world: World, home: str) -> None:
    builders.member("viewer", username="vera")
    client = Client()
    client.login(username="vera", password="secret-pass-1")
    assert "Counting what stands" in client.get("/admin/decommission/").content.decode()
    page = client.get("/admin/decommission/?counted").content.decode()
    assert "tenants still at home in legacy" in page and "nobody can tell" in page
    out = io.StringIO()
    with pytest.raises(CommandError, match="still need the legacy system"):
        call_command("portal", "decommission", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert {row["what"]: row["count"] for row in told["remaining"]} == counts() and told["next_steps"]


TODAY = date(2026, 11, 26)


def forecast(ends: list[int]) -> tuple[float, date | None]:
    days = [TODAY - timedelta(days=len(ends) - 1 - n) for n in range(len(ends))]
    return trend._forecast(TODAY, days, ends)


def test_a_steady_pace_ends_when_it_says() -> None:
    assert forecast([100, 90, 80, 70]) == (10.0, TODAY + timedelta(days=7))


def test_days_before_the_first_move_do_not_slow_it() -> None:
    assert forecast([100] * 20 + [90, 80])[0] == 10.0


def test_who_moves_back_or_nobody_at_all_has_no_end() -> None:
    assert forecast([10, 10, 10]) == (0.0, None) and forecast([10, 12])[1] is None
    assert forecast([5, 0])[1] == TODAY


def test_when_all_have_moved_it_is_the_day_of_the_last() -> None:
    assert forecast([9, 5, 0, 0, 0])[1] == TODAY - timedelta(days=2)
    assert forecast([0, 0, 0])[1] is None


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=40))
def test_an_end_is_never_in_the_past_while_somebody_is_left(ends: list[int]) -> None:
    end = forecast(ends)[1]
    assert end is None or end >= TODAY or not ends[-1]
