"""Signing in through another provider, in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from iam.models import Session, TenantSettings
from iam.oauth.models import SocialConnection
from tests.iam.oauth.conftest import switch_on
from tests.iam.oauth.provider import Provider
from tests.legacy_compat.conftest import PASSWORD, make_tenant, make_user
from tests.serving import served
from tests.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    if os.environ.get("PORTAL_BROWSER_REQUIRED"):
        raise RuntimeError("CI needs chromium for the browser tests.")
    pytest.skip("chromium is not installed: browser tests are skipped", allow_module_level=True)


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider("ann-at-acme")
    yield made
    made.server.shutdown()


@pytest.fixture
def page(world: World, provider: Provider, settings: Any) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    switch_on("oauth2_enabled", "social_login_enabled", "new_ui_enabled")
    acme = {
        "title": "Acme", "client_id": "sigma", "client_secret": "s",
        "server_metadata_url": f"{provider.url}/.well-known/openid-configuration",
    }  # fmt: skip
    settings.SOCIAL_PROVIDERS = {"acme": acme}
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with served(settings) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(base_url=url, viewport={"width": 1100, "height": 900})
        yield opened
        connections.close_all()
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def sign_in(page: Any, name: str) -> None:
    page.fill("#username", name)
    page.fill("#password", PASSWORD)
    page.click("button:has-text('Sign in')")


def sign_out(page: Any) -> None:
    page.click("button:has-text('Sign out')")
    page.wait_for_selector("h1:has-text('Sign in')")


def test_an_account_elsewhere_is_linked_once_and_signs_in_from_then_on(page: Any) -> None:
    user = make_user(make_tenant(), full_name="Ann Lee")
    page.goto("/oauth/sign-in")
    page.click("text=Continue with Acme")
    page.wait_for_selector("text=Sign in once with your password")
    sign_in(page, user.username)
    page.wait_for_selector("h1:has-text('Is this your Acme account?')")
    page.click("button:has-text('Yes, link it')")
    page.wait_for_selector("h1:has-text('Welcome, Ann Lee')")
    assert SocialConnection.objects.get().user == user
    sign_out(page)
    page.click("text=Continue with Acme")
    page.wait_for_selector("h1:has-text('Welcome, Ann Lee')")
    page.click("button:has-text('Unlink')")
    page.wait_for_selector("text=not linked")
    assert not SocialConnection.objects.exists()


def test_an_account_with_the_same_email_is_not_taken_over(page: Any) -> None:
    make_user(make_tenant(), email="ann@example.org")
    page.goto("/oauth/social/acme/")
    page.wait_for_selector("h1:has-text('Sign in')")
    page.goto("/oauth/welcome")
    page.wait_for_selector("h1:has-text('Sign in')")
    assert not SocialConnection.objects.exists()


def test_somebody_elses_account_is_not_linked_twice(page: Any) -> None:
    tenant = make_tenant()
    make_user(tenant, username="first")
    make_user(tenant, username="second")
    for name in ("first", "second"):
        page.goto("/oauth/sign-in")
        sign_in(page, name)
        page.wait_for_selector("h1:has-text('Welcome')")
        page.click("a:has-text('Link')")
        if name == "first":
            page.click("button:has-text('Yes, link it')")
            page.wait_for_selector("button:has-text('Unlink')")
            sign_out(page)
    page.wait_for_selector("text=belongs to somebody else")
    assert SocialConnection.objects.get().user.username == "first"


def test_a_provider_that_fails_is_a_sentence_and_no_traceback(page: Any, provider: Provider) -> None:
    provider.broken = True
    page.goto("/oauth/social/acme/")
    page.wait_for_selector("text=did not answer as it should")


def test_who_says_no_at_the_provider_is_back_with_a_sentence(page: Any) -> None:
    page.goto("/oauth/social/acme/callback?error=access_denied&error_description=no")
    page.wait_for_selector("text=did not answer as it should")


def test_an_address_made_up_is_refused(page: Any) -> None:
    page.goto("/oauth/social/acme/callback?code=x&state=made-up")
    page.wait_for_selector("text=This did not work")


def test_an_account_elsewhere_is_no_second_factor(page: Any) -> None:
    user = make_user(make_tenant(), full_name="Ann Lee")
    SocialConnection.objects.create(user=user, provider="acme", provider_user_id="ann-at-acme")
    TenantSettings.objects.create(tenant=user.tenant, mfa_required=True)
    page.goto("/oauth/sign-in")
    page.click("text=Continue with Acme")
    page.wait_for_selector("text=asks for a one-time code")
    page.goto("/oauth/welcome")
    page.wait_for_selector("h1:has-text('Sign in')")


def test_an_account_elsewhere_signs_nobody_in_whose_tenant_lives_in_legacy(page: Any) -> None:
    user = make_user(make_tenant("legacy"), full_name="Ann Lee")
    SocialConnection.objects.create(user=user, provider="acme", provider_user_id="ann-at-acme")
    page.goto("/oauth/sign-in")
    page.click("text=Continue with Acme")
    page.wait_for_selector("text=has not moved here yet")
    assert not Session.objects.filter(user=user).exists()


def test_an_account_that_waits_is_linked_to_nobody_who_does_not_say_so(page: Any) -> None:
    user = make_user(make_tenant(), full_name="Ann Lee")
    page.goto("/oauth/sign-in")
    page.click("text=Continue with Acme")
    page.wait_for_selector("text=Sign in once with your password")
    sign_in(page, user.username)
    page.click("button:has-text('No')")
    page.wait_for_selector("h1:has-text('Welcome, Ann Lee')")
    assert not SocialConnection.objects.exists()


def test_an_account_that_came_along_from_legacy_signs_in(page: Any) -> None:
    user = make_user(make_tenant(), full_name="Ann Lee", oauth_provider="acme", oauth_id="ann-at-acme")
    page.goto("/oauth/social/acme/")
    page.wait_for_selector("h1:has-text('Welcome, Ann Lee')")
    sign_out(page)
    make_user(user.tenant, oauth_provider="acme", oauth_id="ann-at-acme")  # whose is it now?
    page.goto("/oauth/social/acme/")
    page.wait_for_selector("text=Sign in once with your password")
