"""Our flags through waffle."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import RequestFactory

from flags import change as changing
from flags import maintenance
from flags.decide import Subject
from flags.evaluate import definitions, is_on
from flags.models import Maintenance, Ramp, TenantHome
from tests import builders
from tests.features.switching import flag
from tests.world import World


def test_waffles_own_question_is_answered_by_our_rule(world: World) -> None:
    from waffle import flag_is_active

    changing.change(flag(), by="t", reason="t", targets=["user:u1"])
    definitions(fresh=True)
    request = RequestFactory().get("/")
    request.user = builders.member("operator")
    assert not flag_is_active(request, "new_ui_enabled")
    request.flag_subject = Subject("u1")
    assert flag_is_active(request, "new_ui_enabled")
    assert is_on("new_ui_enabled", Subject("u1"))


def test_a_ramp_is_named_by_where_it_leads(world: World) -> None:
    made = Ramp(flag=flag(), steps=[Decimal(5), Decimal(50)])
    assert str(made) == f"{flag()} to 50 %"
    made.steps = []
    assert str(made) == f"{flag()} to 100 %"


def test_a_tenant_is_called_by_its_name_where_it_has_one() -> None:
    assert [str(TenantHome(tenant="t1", name=name)) for name in ("Acme", "")] == ["Acme", "t1"]


def test_closed_doors_are_known_within_a_second_by_a_process_that_has_asked_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintenance.forget()
    assert maintenance.retry_after("POST") is None
    Maintenance.objects.create(reason="upgrade", by="otto")
    assert maintenance.retry_after("POST") is None  # what was read a moment ago
    monkeypatch.setattr(maintenance, "SECONDS", 0.0)
    assert maintenance.retry_after("POST") is not None
    maintenance.forget()
