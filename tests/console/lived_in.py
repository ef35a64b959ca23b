"""A portal in the middle of its migration: something of everything that the console shows, and the addresses of its pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Account
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from flags.models import Flag, ScheduledChange
from iam.models import User
from legacy_compat.models import LegacyRequest, Mismatch
from migration_portal.approvals import decide
from migration_portal.approvals.actions import named
from migration_portal.approvals.models import Approval
from migration_portal.audit.models import Event, SavedSearch
from migration_portal.backups.models import Backup, Check, Restoration
from migration_portal.capabilities import edit
from migration_portal.checkpoints.models import Checkpoint
from migration_portal.checkpoints.take import take
from migration_portal.clients.register import register
from migration_portal.cutover import waves
from migration_portal.cutover.models import Stray, Wave
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.deployment import work as deployment
from migration_portal.deployment.models import Contact, Phase, Plan, Task
from migration_portal.drafting.draft import draft_now
from migration_portal.drafting.models import PlanDraft
from migration_portal.features import schedule
from migration_portal.features.ramp import start_ramp
from migration_portal.inventory.models import Inventory
from migration_portal.inventory.requests import take_now
from migration_portal.monitoring import alerts
from migration_portal.monitoring.alerts import Condition
from migration_portal.monitoring.models import Alert
from migration_portal.notices import texts
from migration_portal.notices.models import Notice
from migration_portal.notices.plan import plan as plan_notice
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.retention import holding
from migration_portal.retention.models import Hold
from migration_portal.rollback import execute, judge
from migration_portal.rollback.models import RollBack, Step
from migration_portal.rollback.plans import Kind
from migration_portal.runs.models import QuarantinedRow, Run
from tests import builders
from tests.clients.registering import FORM
from tests.cutover.moves import both_loops, legacy, moved
from tests.notices.conftest import ENGLISH
from tests.rehearsal.test_forecast import PRODUCTION, measured, move
from tests.stack import furnished
from tests.world import World

ROLES = ("viewer", "support", "operator", "approver")


@furnished
def lived_in(world: World) -> dict[str, str]:
    """What fills the addresses of its pages: what stands before the place -> what there is, as `addresses` takes it."""
    for role in ROLES:
        builders.member(role)
    Account.objects.create_superuser("root", password="secret-pass-1")
    world.sample(users=120, tenants=8, rate=0.02)
    for kind in ("inventory", "inventory", "preflight"):
        take_now(kind, by="otto")
    builders.migrated(world, dry_run=True)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    at_home = _moved(world)
    _backed_up()
    _looked_after()
    client, _ = register(FORM, by="otto")
    _planned(at_home)
    _asked()
    person = str(User.objects.filter(tenant=at_home).values_list("pk", flat=True)[0])
    return {
        **{f"admin/{place}": str(model.objects.values_list("pk", flat=True)[0]) for place, model in _OBJECTS.items()},
        **{f"admin/{place}": found for place, found in _WORDS.items()},
        "admin/cutover/tenant/": at_home,
        "admin/capabilities/tenant/": at_home,
        "admin/capabilities/user/": person,
        "admin/support/": person,
        "admin/clients/": str(client.pk),
    }


_OBJECTS: dict[str, Any] = {
    "approvals/": Approval, "audit/event/": Event, "auth/group/": Group, "auth/user/": Account, "backups/": Backup,
    "backups/restorations/": Restoration, "checkpoints/": Checkpoint, "cutover/stray/": Stray, "deployment/": Plan,
    "deployment/phase/": Phase, "deployment/task/": Task, "features/*/scheduled/": ScheduledChange,
    "health/alerts/": Alert, "inventory/inventory/": Inventory,
    "legacy_compat/legacyrequest/": LegacyRequest, "retention/hold/": Hold, "legacy_compat/mismatch/": Mismatch, "notices/": Notice,
    "otp_totp/totpdevice/": TOTPDevice, "rehearsal/": Rehearsal, "rollback/": RollBack, "rollback/steps/": Step,
    "runs/quarantinedrow/": QuarantinedRow, "runs/run/": Run, "traffic/mismatches/": Mismatch, "waves/": Wave,
}  # fmt: skip
_WORDS = {
    "approvals/*/": "reject", "approvals/impact/": "undo", "capabilities/of/": "mfa", "features/": "new_ui_enabled",
    "help/": "cut-over", "inventory/inventory/*/download.": "json", "notices/text/": "moving", "notices/text/*/": "en",
    "rollback/steps/*/": "skip", "runs/run/*/do/": "pause", "r/": "1", "r/*/": "1",
}  # fmt: skip


def _moved(world: World) -> str:
    """One tenant at home in the IAM, with a stray write; its id."""
    builders.decided()
    [(tenant,)] = legacy(
        world, "SELECT tenant_id::text FROM users GROUP BY 1 ORDER BY count(*) DESC, 1 OFFSET 1 LIMIT 1"
    )
    assert moved(tenant).state == "done"
    legacy(world, "UPDATE users SET full_name = 'Stray' WHERE tenant_id = %s", tenant)
    both_loops()
    return str(tenant)


def _backed_up() -> None:
    now = timezone.now()
    about = {"requested_by": "otto", "started_at": now, "finished_at": now}
    for side in ("legacy", "iam"):
        backup = Backup.objects.create(
            side=side, place=f"{side}-1", bytes=10**6, level=3, checked_at=now, manifest={"snapshot_at": now.isoformat()}, **about
        )  # fmt: skip
        Check.objects.create(backup=backup, level=3, reached=3, **about)
    Restoration.objects.create(backup=backup, into="iam_before", reason="to look", **about)
    moves = [move(users, 10.0 * users) for users in (1, 20, 300)]
    Rehearsal.objects.create(
        backup=backup, tenants=40, measured=measured(moves=moves), production=PRODUCTION, reason="the first", **about
    )


def _looked_after() -> None:
    take(by="otto")
    holding.place("Case 7", timezone.now().date(), None, by="otto", reason="a court asks")
    alerts.tell([Condition("health:disk:a", "warning", "The disk of a is 95 % full.", "Make room.")], of="health:disk")
    mismatch = {"endpoint": "auth/me", "field": "full_name", "count": 3}
    Mismatch.objects.create(**mismatch)
    LegacyRequest.objects.create(
        at=timezone.now(), request_id="a1", method="GET", endpoint="auth/me", version="v1", client="android/3",
        home="iam", status=200, milliseconds=12.5,
    )  # fmt: skip
    TOTPDevice.objects.create(user=builders.member(username="left"), name="a telephone")


def _planned(tenant: str) -> None:
    texts.save("moving", "en", by="otto", **ENGLISH)
    plan_notice("Before the first wave", "moving", {}, by="otto", starts_at=timezone.now() + timedelta(days=3))
    waves.plan("first", {"kind": "share", "percent": 50}, by="otto", guarded=True)
    deployment.make("Autumn", "capability", by="otto")
    Contact.objects.create(role="operator", name="Otto")
    edit.edit_tenants([tenant], "mfa", enabled=True, value=None, by="otto", reason="as agreed")
    PlanDraft.objects.create(name="draft", text=draft_now("draft").text, saved_by="otto")
    judge.in_force()
    execute.start(
        Kind.FRONT_END, features=["oauth2_enabled"], by="otto", reason="before the first wave", rehearsal=True
    )


def _asked() -> None:
    feature = Flag.objects.get(name="new_ui_enabled")
    schedule.plan(
        feature, {"percentage": 1}, at=timezone.now() + timedelta(days=3), by="otto", reason="after the pilot"
    )
    start_ramp(feature, steps=[Decimal(5), Decimal(50)], hours=24, by="otto", reason="the pilot went well")
    decide.ask(
        named("widen_feature"), {"flag": "oauth2_enabled", "revive": False, "percentage": "25"}, subject="oauth2_enabled",
        place="/admin/features/oauth2_enabled/", by="operator", reason="the pilot went well",
    )  # fmt: skip
    SavedSearch.objects.create(name="Moves", owner="viewer", query="verb=cut_over")


def addresses(there: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(Pattern, an address that it matches) of every page under admin/ but those that only send elsewhere."""
    for pattern in sorted({each for each in _patterns(get_resolver().url_patterns) if each.startswith("admin/")}):
        if pattern.endswith(("<path:object_id>/", "<id>/", "$")) and not pattern.startswith("admin/r/"):
            continue  # Django's own redirections to the page that says what it does with the object
        yield pattern, f"/{_filled(pattern, there)}"


def _patterns(among: Iterable[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for each in among:
        whole = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _patterns(each.url_patterns, whole)
        else:
            yield whole


def _filled(pattern: str, there: dict[str, str]) -> str:
    text, key = "", ""
    for literal, place in re.findall(r"([^<]*)(<[^>]+>)?", pattern):
        text, key = text + literal, key + literal
        if place:
            text, key = text + there[key], f"{key}*"
    return text
