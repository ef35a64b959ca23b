"""A roll-out in a real browser: a plan whose gates refuse and pass, a wave stopped and gone on with, people told, one looked up."""

from __future__ import annotations

from typing import Any

import requests

from flags.models import TenantHome
from iam.models import Tenant
from migration_portal.cutover.models import Wave
from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.journeys.test_browser import page as page
from tests.journeys.test_browser import site as site  # the fixtures
from tests.legacy_compat.conftest import PASSWORD, make_user
from tests.world import World, eventually


def press(page: Any, button: str, **fields: str) -> None:
    """Press a button; where a dialog asks, fill it in and confirm."""
    page.click(f"button:has-text('{button}')")
    if fields:
        for name, value in fields.items():
            page.fill(f"dialog[open] [name={name}]", value)
        page.click("dialog[open] button[type=submit]")


def test_a_roll_out_from_the_plan_to_the_people(world: World, site: str, page: Any) -> None:
    world.sample(users=300, tenants=12, rate=0)
    builders.migrated(world, capture=True)
    builders.decided()
    sync_tenants()
    for start in (world.follower, world.operator, world.beat):
        start()
    # The plan: a gate that is not green refuses, an approver overrides it, one that is green passes.
    page.goto(f"{site}/admin/deployment/")
    page.click("button:has-text('Make a plan')")
    page.fill("dialog[open] input[name=name]", "Autumn")
    page.select_option("dialog[open] select[name=template]", "capability")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("h2:has-text('Timeline')")
    press(page, "Run all checks")
    page.wait_for_selector("text=No roll-back has been rehearsed.")
    press(page, "Pass the gate")
    page.wait_for_selector("text=Do what is missing")
    press(page, "Override", reason="practice in a browser", typed="override")
    page.wait_for_selector("text=practice in a browser")
    press(page, "Pass the gate")
    page.wait_for_selector("text=It has passed.")
    # The wave: previewed, planned, started, stopped, gone on with.
    page.goto(f"{site}/admin/waves/plan/")
    page.fill("input[name=name]", "everybody")
    page.fill("input[name=percent]", "100")
    page.uncheck("input[name=guarded]")
    page.click("button:has-text('Preview')")
    page.wait_for_selector("h2:has-text('tenants with')")
    page.click("button:has-text('Plan it')")
    page.wait_for_selector("text=planned")
    page.click("button:has-text('Start')")
    page.fill("dialog[open] input[name=reason]", "week 4")
    page.fill("dialog[open] input[name=typed]", "everybody")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("span.p-badge:has-text('running'), span.p-badge:has-text('done')")
    if page.query_selector("button:has-text('Stop')"):
        press(page, "Stop", reason="complaints")
        page.wait_for_selector("text=What was moved is moved")
    eventually(lambda: gone_on(page), seconds=90, every=1)
    assert TenantHome.objects.filter(home="iam").count() == TenantHome.objects.count()
    # Somebody of a tenant that has moved is told, reads it, and is looked up.
    tenant = Tenant.objects.get(pk=TenantHome.objects.all()[0].tenant)
    ann = make_user(tenant, username="ann.lee", full_name="Ann Lee")
    page.goto(f"{site}/admin/notices/text/")
    for name, value in (("template", "moved"), ("subject", "You have moved"), ("text", "Dear $name, welcome.")):
        page.fill(f"[name={name}]", value)
    page.click("button:has-text('Save and preview')")
    page.wait_for_selector("text=Dear Ann Lee, welcome.")
    page.goto(f"{site}/admin/notices/plan/")
    page.fill("input[name=name]", "Welcome")
    page.check("input[value=tenants]")
    page.fill("textarea[name=which]", str(tenant.pk))
    page.check("input[name=in_app]")
    page.click("button:has-text('Plan it')")
    page.wait_for_selector("span.p-badge:has-text('sent')", timeout=60_000)
    login = requests.post(f"{site}/api/v1/auth/login", json={"username": "ann.lee", "password": PASSWORD}).json()
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    shown = requests.get(f"{site}/api/v1/notices", headers=headers).json()["items"]
    assert [each["subject"] for each in shown] == ["You have moved"]
    assert requests.post(f"{site}/api/v1/notices/{shown[0]['id']}/read", headers=headers).status_code == 204
    page.goto(f"{site}/admin/support/")
    page.fill("input[name=q]", "ann.lee")
    page.keyboard.press("Enter")
    page.click("a:has-text('Ann Lee')")
    page.wait_for_selector("text=lives in the IAM")
    assert str(ann.pk) in page.content() and "shown: pwd" in page.inner_text("main, body")
    press(page, "Sign out everywhere", reason="the end of the test")
    page.wait_for_selector("text=Signed out everywhere")
    assert requests.get(f"{site}/api/v1/me", headers=headers).status_code == 401


def gone_on(page: Any) -> bool:
    """Tries again while tenants were stopped or blocked, as an operator would."""
    wave = Wave.objects.get()
    left = wave.tenants.filter(home="legacy").exists()
    if left and wave.state != "running":
        page.reload()
        press(page, "Try again", reason="all is well")
    return not left
