"""Plain builders: rows, runs, users."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection

from migration_portal.runs.advance import advance
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.retry import discard_rows
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.work import work
from migration_portal.sample import fill
from tests.world import World

HASH = "$2b$04$" + "a" * 53


def legacy_tables(world: World) -> None:
    """The legacy tables, empty."""
    with world.legacy() as legacy:
        legacy.execute((fill._HERE / "documented/schema.sql").read_bytes())
        legacy.execute((fill._HERE / "documented/constraints.sql").read_bytes())


def tenant(world: World, **values: Any) -> str:
    row = {"id": str(uuid.uuid4()), "name": "Acme", "slug": uuid.uuid4().hex, "is_active": True, "max_licenses": 5}
    return _insert(world, "tenants", row | values)


def settings_of(world: World, tenant_id: str, **values: Any) -> None:
    _insert(world, "tenant_settings", {"tenant_id": tenant_id} | values)


def user(world: World, tenant_id: str, **values: Any) -> str:
    name = uuid.uuid4().hex[:12]
    row = {
        "id": str(uuid.uuid4()), "tenant_id": tenant_id, "email": f"{name}@example.org", "username": name,
        "full_name": "Ann Lee", "hashed_password": HASH, "is_active": True, "is_superuser": False,
    }  # fmt: skip
    return _insert(world, "users", row | values)


def licence(world: World, tenant_id: str, **values: Any) -> str:
    row = {"id": str(uuid.uuid4()), "tenant_id": tenant_id, "license_key": uuid.uuid4().hex, "payload": "{}"}
    return _insert(world, "licenses", row | values)


def _insert(world: World, table: str, row: dict[str, Any]) -> str:
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    # Real legacy data breaks its own foreign keys.
    unchecked = "SET LOCAL session_replication_role = replica"
    world.sql("legacy", unchecked, f"INSERT INTO {table} ({names}) VALUES ({marks})", arguments=list(row.values()))
    return str(row.get("id", ""))


def finish(run: Run, *, also: frozenset[State] = frozenset()) -> Run:
    """Work on the run in this process until it ends or needs somebody."""
    for _ in range(200):
        run.refresh_from_db()
        if run.state not in {State.RUNNING, State.UNDOING, State.PAUSING, State.CANCELLING} - also:
            return run
        if not work(run.pk):
            advance(run)
    raise AssertionError(f"{run} does not end: {run.state} {run.error}")


def migrated(world: World, **options: Any) -> Run:
    """A run of the default plan, to its end."""
    return finish(start(by="tester", **options))


def member(*groups: str, username: str = "") -> User:
    """A console user who is in these groups."""
    made = User.objects.create_user(username or "-".join(groups) or "nobody", password="secret-pass-1", is_staff=True)
    made.groups.set(Group.objects.filter(name__in=groups))
    return made


def decided() -> None:
    """Quarantined rows stay in legacy: nothing of them is in a tenant's way."""
    discard_rows(list(QuarantinedRow.objects.filter(state="open")), by="tester", reason="of a sample")


def many_events(count: int) -> None:
    """So many events of the audit log, in SQL: their digests are none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_event (at, actor, verb, object_type, object_id, reason, request_id, run, data, previous, digest)"
            " SELECT now() - n * interval '1 second', (ARRAY['otto','eve','system','ann'])[1 + n %% 4],"
            " (ARRAY['start','cut_over','view_person','change_flag','sign_in'])[1 + n %% 5],"
            " (ARRAY['run','tenanthome','user','flag'])[1 + n %% 4], (n %% 50000)::text, 'wave ' || n %% 1000, md5(n::text),"
            " nullif(n %% 100, 0), jsonb_build_object('tenant', (n %% 10000)::text), '', md5(n::text) || md5((-n)::text)"
            " FROM generate_series(1, %s) AS n",
            [count],
        )
        cursor.execute("ANALYZE audit_event")
