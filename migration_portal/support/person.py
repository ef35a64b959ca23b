"""Everything about one person: where they live, both sides of every field, what happened to them, what they may do and why."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import DatabaseError, transaction
from django.utils import timezone
from psycopg.sql import SQL, Composable, Identifier, Literal

from flags import homes
from flags.decide import Subject
from flags.evaluate import definitions, explain
from flags.models import TenantHome
from iam import capabilities
from iam.models import EndedSessions, Session, User, UserCapability
from iam.oauth.models import AccessToken, Grant, RefreshToken
from iam.permissions import allowed, roles
from legacy_compat.models import LegacyRequest
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.audit.models import Event
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import tenants
from migration_portal.notices.models import Recipient
from migration_portal.plan import compile
from migration_portal.plan.model import Plan, Table
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.support.find import derived, iam_id, mappable_or_all

_MOST = 50


@dataclass
class Person:
    """One person; lists newest first. `trouble` says what could not be read."""

    id: str
    user: User | None = None
    home: TenantHome | None = None
    run: Run | None = None
    moves: list[Cutover] = field(default_factory=list)
    fields: list[dict[str, Any]] = field(default_factory=list)
    """Name, legacy's and the IAM's value as text (secrets masked), whether they are the same, and the mapping's expression."""
    quarantine: list[QuarantinedRow] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    calls: list[LegacyRequest] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    tokens: list[AccessToken] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    permissions: list[str] = field(default_factory=list)
    capabilities: list[dict[str, Any]] = field(default_factory=list)
    flags: list[dict[str, Any]] = field(default_factory=list)
    notices: list[Recipient] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    @property
    def there(self) -> bool:
        return self.user is not None or bool(self.fields or self.quarantine)


def person(id: str) -> Person:
    """Gather it. What a database does not answer is in `trouble`, and the rest is there all the same."""
    made = Person(id)
    for gather in (_from_iam, _from_portal, _from_both):
        try:
            gather(made)
        except (DatabaseError, Refusal, psycopg.Error) as error:
            made.trouble.append(databases.words(error))
    return made


def _from_iam(made: Person) -> None:
    try:
        made.user = user = User.objects.select_related("tenant").filter(pk=uuid.UUID(made.id)).first()
    except ValueError:
        return
    if user is None:
        return
    made.id = str(user.pk)
    made.sessions = list(Session.objects.filter(user=user).order_by("-last_activity")[:_MOST])
    tokens = AccessToken.objects.filter(user=user, expires_at__gt=timezone.now()).select_related("client")
    made.tokens = list(tokens.order_by("-created_at")[:_MOST])
    made.grants = list(Grant.objects.filter(user=user).select_related("client"))
    made.roles, made.permissions = roles(user), sorted(allowed(user))
    states = {state.capability_key: state for state in UserCapability.objects.filter(user_id=user.pk)}
    made.capabilities = [
        {
            "key": each.key,
            "on": each.on,
            "value": dict(each.value),
            "because": each.because,
            "state": states.get(each.key),
        }
        for each in capabilities.of(user.tenant_id).values()
    ]


def _from_portal(made: Person) -> None:
    user = made.user
    if user is not None:
        tenant = str(user.tenant_id)
        made.home = TenantHome.objects.filter(pk=tenant).first()
        made.moves = list(Cutover.objects.filter(tenant=tenant)[:_MOST])
        subject = Subject(user=str(user.pk), tenant=tenant)
        for name in sorted(definitions(fresh=True)):
            decision = explain(name, subject)
            made.flags.append({"name": name, "on": decision.on, "because": decision.why})
        made.notices = list(Recipient.objects.filter(user=user.pk).select_related("notice").order_by("-id")[:_MOST])
    made.calls = list(LegacyRequest.objects.filter(user__in={made.id, made.id.lower()})[:_MOST])
    about = Event.objects.filter(object_id__in={made.id, made.id.lower()})
    if user is not None:
        about |= Event.objects.filter(object_type="tenanthome", object_id=str(user.tenant_id))
    made.events = list(about.order_by("-id")[:_MOST])


def _from_both(made: Person) -> None:
    made.run = run = Run.objects.in_force()
    table = run.plan.find("users") if run else None
    if run is None or table is None:
        return
    with open_transfer(run, "support") as transfer:
        key = _legacy_key(made, run, transfer, table)
        both = tenants.row_on_both_sides(transfer, table, key) if key else {}
    expressions = {column.name: column.sql for column in table.columns}
    if any(value is not None for pair in both.values() for value in pair):
        made.fields = [
            {"name": name, "legacy": legacy, "iam": iam, "same": legacy == iam, "mapping": expressions.get(name, "")}
            for name, (legacy, iam) in both.items()
        ]
    keys = [key, [made.id]]
    kept = QuarantinedRow.objects.filter(run=run.key, source_table=table.source, source_key__in=keys)
    made.quarantine = list(kept[:_MOST])
    if not made.fields and made.quarantine:  # what could not be mapped is kept as it was, without secrets
        made.fields = [
            {"name": name, "legacy": value, "iam": None, "same": False, "mapping": "as quarantined"}
            for name, value in made.quarantine[0].data.items()
        ]
    made.strays = list(
        Stray.objects.filter(run=run.key, table_name__in=_known_by(run.plan, table), key__in=keys)[:_MOST]
    )


def _known_by(plan: Plan, table: Table) -> set[str]:
    """The tables of both sides whose rows have a person's key."""
    return {name for each in plan.siblings(table.source) for name in (each.source, each.target)}


def _legacy_key(made: Person, run: Run, transfer: Transfer, table: Table) -> list[str]:
    """Legacy may write the id in another way (upper case, or as a number). Empty where no row of legacy's is that person's."""
    if not derived(table) and (exact := _as_it_is(made.id, transfer, table)):
        return exact
    own = SQL("{}::text").format(Identifier(table.key[0]))
    statement = SQL(
        "SELECT {key} FROM {source} WHERE lower({id}) IN (lower({own}), lower({iam})) ORDER BY ({own} = {id}) DESC LIMIT 1"
    )

    def ask(unmapped: Composable) -> Any:
        return transfer.source.execute(
            statement.format(
                key=compile.source_key(table), own=own, id=Literal(made.id), iam=iam_id(table, unmapped),
                source=compile.source_table(transfer.plan, table),
            )
        ).fetchone()  # fmt: skip

    row = mappable_or_all(run, table, ask, transfer.source)
    if row:
        return list(row[0])
    return [] if derived(table) else [made.id]


def _as_it_is(id: str, transfer: Transfer, table: Table) -> list[str]:
    """The key of legacy's row that writes the id so, or in capitals: by an index. Any other way is looked for in all rows."""
    statement = SQL("SELECT {key} FROM {source} WHERE {own} IN ({id}, {capitals}) ORDER BY {own} = {id} DESC LIMIT 1").format(
        key=compile.source_key(table), source=compile.source_table(transfer.plan, table), own=Identifier(table.key[0]),
        id=Literal(id), capitals=Literal(id.upper()),
    )  # fmt: skip
    try:
        with transfer.source.transaction():
            row = transfer.source.execute(statement).fetchone()
    except psycopg.DataError:  # the column is of another type
        return []
    return list(row[0]) if row else []


@dataclass(frozen=True)
class Ended:
    """How many sessions of the IAM ended; `here` is whether the tenant lives there."""

    sessions: int
    here: bool

    @property
    def words(self) -> str:
        if self.here:
            return f"Signed out everywhere; sessions ended: {self.sessions}."
        return "Signed out at the portal's doors. The tenant lives in legacy: who calls it directly keeps what it has given them."


def end_sessions(user: User, *, by: str, reason: str) -> Ended:
    """Sign the person out everywhere: sessions, and what clients hold for them. Raises Refusal.

    Rows of a tenant that lives in legacy are legacy's: of those nothing is written.
    """
    require_reason(reason, to="Ending sessions", subject=str(user))
    here = homes.serving(str(user.tenant_id), write=False) == TenantHome.Home.IAM
    now, ended = timezone.now(), 0
    with transaction.atomic(), transaction.atomic(using="iam"):
        # The user first, as everybody who ends sessions does: two orders would be a deadlock.
        User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
        RefreshToken.objects.filter(user=user, revoked_at=None).update(revoked_at=now)
        AccessToken.objects.filter(user=user, expires_at__gt=now).update(expires_at=now)
        if here:
            ended = Session.objects.filter(user=user, is_active=True).update(is_active=False)
            User.objects.filter(pk=user.pk).update(refresh_token=None)
        # Tokens that the legacy system issued have no session here.
        EndedSessions.objects.update_or_create(pk=user.pk, defaults={"ended_at": now, "kept": None})
        chain.record(
            "end_sessions", object_type="user", object_id=str(user.pk), by=by, reason=reason,
            data={"count": ended, "tenant": str(user.tenant_id)},
        )  # fmt: skip
    return Ended(ended, here)


def looked_at(id: str, *, by: str) -> None:
    """A person's data was read: that is on the record, too."""
    chain.record("view_person", object_type="user", object_id=id, by=by)


def searched(who: str, count: int, *, by: str) -> None:
    """So are names and addresses in a list."""
    chain.record("search_people", object_type="user", by=by, reason=who[:200], data={"count": count})
