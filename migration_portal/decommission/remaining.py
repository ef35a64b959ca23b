"""What still needs the legacy system, counted; each with some of it, and what makes it less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Max
from django.utils import timezone

from flags.models import TenantHome
from iam import passwords
from iam.models import User
from iam.oauth.models import OAuthClient
from legacy_compat.models import LegacyRequest
from legacy_compat.standing import LEGACY, standings
from migration_portal import databases
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover import guard
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.engine import capture
from migration_portal.engine.ledger import rows
from migration_portal.refusal import Refusal
from migration_portal.runs.models import QuarantinedRow, Run

_WEEK = timedelta(days=7)
"""How long a refresh token of the legacy system lives: who has not called it for so long holds none."""
_SHOWN = 20
_LAST_SEEN = "SELECT tenant_id::text AS id, max(coalesce(last_login_at, last_login)) AS seen FROM users GROUP BY 1"


@dataclass(frozen=True)
class Remaining:
    """`count` of `what`; `some` of it in words; `page` is the name of the URL where it is dealt with, and how."""

    what: str
    count: int
    todo: str
    page: str
    some: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.count == 0


def remaining() -> list[Remaining]:
    """All of it, done or not. What a database does not answer counts as one, and says so."""
    found: list[Remaining] = []
    for ask in _ASKED:
        try:
            found += ask()
        except (DatabaseError, Refusal, psycopg.Error) as error:
            said = [databases.words(error)]
            found.append(Remaining("could not be asked", 1, "Look at the database.", "health", said))
    return found


def _tenants() -> Iterator[Remaining]:
    left = TenantHome.objects.filter(home=TenantHome.Home.LEGACY)
    if not TenantHome.objects.exists():
        yield Remaining("migration that has not begun", 1, "Start a run with capture.", "admin:runs_run_changelist")
    count = left.count()
    some: list[str] = []
    if count:
        with databases.iam("decommission") as iam:
            seen = {row["id"]: row["seen"] for row in rows(iam, _LAST_SEEN)}
        latest = sorted(left, key=lambda tenant: str(seen.get(tenant.pk) or ""), reverse=True)[:_SHOWN]
        some = [f"{tenant}, last sign-in {_day(seen.get(tenant.pk))}" for tenant in latest]
    yield Remaining("tenants still at home in legacy", count, "Cut them over, in waves.", "waves", some)
    back = TenantHome.objects.filter(home=TenantHome.Home.IAM, final=False)
    names = [str(tenant) for tenant in back[:_SHOWN]]
    yield Remaining(
        "tenants that could still be reversed", back.count(), "Finalize them, or all at the end.", "cutover", names
    )


def _day(moment: object) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "never"


def _traffic() -> Iterator[Remaining]:
    recent = LegacyRequest.objects.filter(at__gte=timezone.now() - _WEEK, home=TenantHome.Home.LEGACY)
    by_client = recent.values("client").annotate(n=Count("pk"), last=Max("at")).order_by("-n")
    some = [
        f"{row['client'] or 'unnamed'}: {row['n']:,} calls, last {row['last']:%Y-%m-%d %H:%M %Z}"
        for row in by_client[:_SHOWN]
    ]
    yield Remaining(
        "clients that legacy answered in the last week",
        by_client.count(),
        "Move their tenants, or tell their owners.",
        "traffic",
        some,
    )
    signed_in = recent.filter(endpoint__in=("auth/login", "auth/refresh"), status__lt=400).exclude(user="")
    holders = signed_in.values("user").distinct().count()
    yield Remaining(
        "users who may hold a token that legacy issued",
        holders,
        "It ends with the token: seven days after the last.",
        "traffic",
    )
    passed_on = [each.name for each in standings() if LEGACY in (each.after, each.finalized) and each.accepted is None]
    yield Remaining(
        "endpoints that are still passed on to legacy", len(passed_on), "Serve them, or accept that nobody answers them.",
        "traffic_surface", passed_on[:_SHOWN],
    )  # fmt: skip


def _clients() -> Iterator[Remaining]:
    homes = set(TenantHome.objects.filter(home=TenantHome.Home.LEGACY).values_list("pk", flat=True))
    waiting = [one for one in OAuthClient.objects.filter(is_active=True) if str(one.tenant_id) in homes]
    yield Remaining(
        "OAuth clients of tenants at home in legacy", len(waiting), "They work once their tenant has moved.", "clients",
        [one.client_name for one in waiting[:_SHOWN]],
    )  # fmt: skip


def _passwords() -> Iterator[Remaining]:
    left = User.objects.filter(is_active=True).exclude(hashed_password__regex=passwords.SETTLED)
    by_tenant = left.values("tenant__name").annotate(n=Count("pk")).order_by("-n")
    todo = (
        "They sign in once, and it is asked; tell them to by a notice, or mail them a $password_link (to those with an address)."
        if settings.PASSWORD_CHECK_URL
        else "Mail them a $password_link by a notice (those with an address), or set PASSWORD_CHECK_URL."
    )
    yield Remaining(
        "users whose password only legacy can check", left.count(), todo, "notice_plan",
        [f"{row['n']:,} of {row['tenant__name'] or 'no tenant'}" for row in by_tenant[:_SHOWN]],
    )  # fmt: skip


def _undecided() -> Iterator[Remaining]:
    run = Run.objects.in_force()
    kept = QuarantinedRow.objects.filter(run=run.key, state="open") if run else QuarantinedRow.objects.none()
    reasons = kept.values("table_name", "reason").annotate(n=Count("pk")).order_by("-n")
    yield Remaining(
        "quarantined rows to decide", kept.count(), "Fix and retry, or discard them.", "admin:runs_quarantinedrow_changelist",
        [f"{row['n']:,} of {row['table_name']}: {row['reason']}" for row in reasons[:_SHOWN]],
    )  # fmt: skip
    astray = Stray.objects.filter(run=run.key, state="open") if run else Stray.objects.none()
    yield Remaining(
        "stray writes to decide", astray.count(), "Accept or restore them.", "admin:cutover_stray_changelist"
    )
    yield Remaining("moves under way", Cutover.objects.under_way().count(), "Wait for them, or stop them.", "cutover")


def _installed() -> Iterator[Remaining]:
    there = []
    if captured_run() is not None:
        for side, connect in (("legacy", databases.legacy_writable), ("the IAM", databases.iam)):
            with connect("decommission") as session:
                if capture.installed(session):
                    there.append(f"capture on {side}")
        mode = guard.mode()
        there += [f"guard on {side}" for side, on in (("legacy", mode.legacy), ("the IAM", mode.iam)) if on]
    yield Remaining("objects of ours in the databases", len(there), "Finalize: it takes them away.", "cutover", there)
    upstream = [settings.LEGACY_UPSTREAM_URL] if settings.LEGACY_UPSTREAM_URL else []
    yield Remaining(
        "settings that name the legacy system", len(upstream), "Empty LEGACY_UPSTREAM_URL once the list is.", "traffic",
        ["LEGACY_UPSTREAM_URL"] if upstream else [],
    )  # fmt: skip


_ASKED: tuple[Callable[[], Iterator[Remaining]], ...] = (
    _tenants,
    _traffic,
    _clients,
    _passwords,
    _undecided,
    _installed,
)
