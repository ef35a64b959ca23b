"""What the capability migration costs: its steps with ledger and verification, against the bare SQL of the same six steps.

make bench-capabilities
make bench-capabilities ARGS="--tenants 100000 --users 1000000 --rounds 3"
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from bench.setup import scratch
from config import embedded

console = Console(width=110)
WORKERS = 2
_FILL = """
INSERT INTO tenants (id, name, slug, is_active, max_licenses)
    SELECT gen_random_uuid(), 'Tenant ' || n, 'tenant-' || n, true, 5 FROM generate_series(1, %(tenants)s) AS n;
INSERT INTO tenant_settings (tenant_id, mfa_required, access_token_ttl_minutes)
    SELECT id, random() < 0.2, 5 + (random() * 100)::int FROM tenants;
INSERT INTO users (id, tenant_id, username, email, hashed_password, mfa_enabled, mfa_secret_encrypted, created_at)
    SELECT gen_random_uuid(), t.id, 'user-' || n, 'user-' || n || '@example.org', '$2b$12$', n %% 3 = 0,
           CASE WHEN n %% 6 = 0 THEN 'c2VjcmV0' END, now()
    FROM generate_series(1, %(users)s) AS n JOIN (SELECT id, row_number() OVER () AS r FROM tenants) AS t
      ON t.r = n %% %(tenants)s + 1;
ANALYZE;
"""
_BARE = (
    "INSERT INTO tenant_capabilities (tenant_id, capability_key, enabled) SELECT t.id, c.capability_key, true"
    " FROM tenants AS t CROSS JOIN system_capabilities AS c WHERE c.enabled ON CONFLICT DO NOTHING",
    "UPDATE tenant_capabilities AS c SET value = jsonb_build_object("
    "'max_access_token_ttl_minutes', s.access_token_ttl_minutes, 'max_refresh_token_ttl_days', s.refresh_token_ttl_days,"
    " 'max_id_token_ttl_minutes', s.id_token_ttl_minutes, 'remember_me_enabled', s.remember_me_enabled,"
    " 'remember_me_refresh_token_ttl_days', s.remember_me_refresh_token_ttl_days,"
    " 'remember_me_access_token_ttl_minutes', s.remember_me_access_token_ttl_minutes)"
    " FROM tenant_settings AS s WHERE c.tenant_id = s.tenant_id AND c.capability_key = 'max_token_ttl'",
    "UPDATE tenant_capabilities AS c SET enabled = true FROM tenant_settings AS s"
    " WHERE c.tenant_id = s.tenant_id AND c.capability_key = 'mfa' AND s.mfa_required",
    "INSERT INTO tenant_feature_enablement (tenant_id, feature_key, enabled) SELECT tenant_id, 'mfa', true"
    " FROM tenant_settings WHERE mfa_required ON CONFLICT DO NOTHING",
    "INSERT INTO user_capability_state (user_id, capability_key, enrolled, enrolled_at) SELECT id, 'mfa', true,"
    " coalesce(updated_at, created_at) FROM users WHERE mfa_enabled ON CONFLICT DO NOTHING",
    "INSERT INTO user_capability_state (user_id, capability_key, enrolled, state_data, enrolled_at) SELECT id, 'totp', true,"
    " '{\"has_secret\": true}', coalesce(updated_at, created_at) FROM users"
    " WHERE mfa_enabled AND mfa_secret_encrypted IS NOT NULL ON CONFLICT DO NOTHING",
)
_EMPTY = "TRUNCATE tenant_capabilities, tenant_feature_enablement, user_capability_state"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        scratch(stack)
        os.environ.setdefault("LOG_LEVEL", "ERROR")
        stack.callback(embedded.start().stop)
        import django

        django.setup()
        from django.core.management import call_command

        from migration_portal import databases
        from migration_portal.sample.dirt import Dirt
        from migration_portal.sample.fill import fill

        call_command("migrate", verbosity=0)
        call_command("portal", "apply_schema", verbosity=0)
        with databases.legacy_writable("bench") as legacy:
            fill(legacy, Dirt(100, 5), seed=1)  # its tables alone are asked for
        with psycopg.connect(databases.url_of("iam"), autocommit=True) as iam:
            for statement in _FILL.split(";\n"):
                if statement.strip():
                    iam.execute(statement, vars(options) if "%(" in statement else None)
        _compare(options)
    return 0


def _compare(options: Any) -> None:
    from migration_portal import databases

    bare: list[float] = []
    alone: list[float] = []
    ours: list[float] = []
    verified: list[float] = []
    with psycopg.connect(databases.url_of("iam"), autocommit=True) as iam:
        for n in range(options.rounds):  # in turns, so that a noisy minute hits all
            bare.append(_timed(lambda: [iam.execute(statement) for statement in _BARE]))
            theirs = _content(iam)
            for times, workers in ((alone, 1), (ours, WORKERS)):
                iam.execute(_EMPTY)
                taken = _ours(workers)
                times.append(taken[0])
                verified.append(taken[1])
                if _content(iam) != theirs:
                    raise SystemExit("Ours and the bare SQL's rows differ.")
            iam.execute(_EMPTY)
            console.print(f"round {n + 1}: bare {bare[-1]:.1f} s, one worker {alone[-1]:.1f} s, two {ours[-1]:.1f} s")
    base = statistics.median(bare)
    table = Table(title=f"{options.tenants:,} tenants and {options.users:,} users, medians of {options.rounds}")
    for column in ("", "seconds", "of the bare SQL"):
        table.add_column(column, justify="right")
    rows = {
        "bare SQL, one session": bare,
        "ours, one worker": alone,
        "ours, two workers": ours,
        "verification": verified,
    }
    for name, times in rows.items():
        table.add_row(name, f"{statistics.median(times):.1f}", f"{statistics.median(times) / base:.2f}")
    console.print(table)


def _content(iam: psycopg.Connection[Any]) -> list[Any]:
    """Counts and sums of hashes of what was derived, but for when."""
    rows = (
        "tenant_id, capability_key, enabled, value",
        "tenant_id, feature_key, enabled",
        "user_id, capability_key, enrolled, state_data",
    )
    tables = "tenant_capabilities", "tenant_feature_enablement", "user_capability_state"
    return [
        iam.execute(f"SELECT count(*), sum(hash_record_extended(ROW({row}), 0)) FROM {table}").fetchone()
        for table, row in zip(tables, rows, strict=True)
    ]


def _ours(workers: int) -> tuple[float, float]:
    """Seconds to derive, with its ledger, and to recompute it."""
    from django.conf import settings

    from migration_portal import databases
    from migration_portal.engine import capabilities, catalog, kinds, ledger
    from migration_portal.engine.kinds import Step
    from migration_portal.engine.transfer import Transfer
    from migration_portal.engine.verify.capabilities import wrong
    from migration_portal.plan.loader import parse, read

    run, plan = uuid.uuid4(), parse(read(settings.MIGRATION_PLAN), name="bench")

    def transfer(stack: ExitStack) -> Transfer:
        legacy, iam = stack.enter_context(databases.both("bench"))
        with legacy.transaction():
            source = catalog.read(legacy, plan.source_schema)
        return Transfer(
            legacy, iam, plan, source, catalog.read(iam, plan.target_schema), run=run, schema=plan.target_schema
        )

    def work() -> None:
        with ExitStack() as stack:
            mine = transfer(stack)
            while chunk := ledger.claim(mine.target, run, "bench"):
                kinds.perform(mine, chunk)

    def derive(opened: Transfer) -> None:
        with opened.target.transaction():
            capabilities.prepare(opened)
        for n, table in enumerate(capabilities.prepared(opened)):
            step = Step(f"grant:{table.target}", "grant", table.target, n, frozenset())
            ledger.add(opened.target, run, step.name, n, kinds.chunks_of(opened, step))
            with ThreadPoolExecutor(workers) as pool:
                for each in [pool.submit(work) for _ in range(workers)]:
                    each.result()

    with ExitStack() as stack:
        opened = transfer(stack)
        ledger.install(opened.target)
        return _timed(lambda: derive(opened)), _timed(lambda: _none_wrong(wrong(opened)))


def _none_wrong(found: Any) -> None:
    if any(ids for _, _, ids in found):
        raise SystemExit("Verification found a difference.")


def _timed(do: Any) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
