"""manage.py legacy_sample --flavour documented|released --users N --tenants N --seed S"""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from migration_portal import databases
from migration_portal.refusal import Refusal
from migration_portal.sample.dirt import FLAVOURS
from migration_portal.sample.fill import fill


class Command(BaseCommand):
    help = "Fill the legacy database with a sample Sigma Permit system, dirt included."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", type=int, default=10_000)
        parser.add_argument("--tenants", type=int, default=0, help="default: one for every 100 users, at least 10")
        parser.add_argument(
            "--flavour", choices=sorted(FLAVOURS), default="documented", help="whose schema: %(default)s"
        )
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--dirt", type=float, default=0.001, help="share of dirty rows")
        parser.add_argument("--replace", action="store_true", help="drop tables of an earlier sample")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = options["tenants"] or max(10, options["users"] // 100)
        started = time.monotonic()
        try:
            dirt = FLAVOURS[options["flavour"]](options["users"], tenants, options["dirt"])
            with databases.legacy_writable("sample") as legacy:
                fill(legacy, dirt, seed=options["seed"], replace=options["replace"])
        except (ValueError, Refusal) as refusal:
            raise CommandError(str(refusal)) from refusal
        expected = sum(sum(reasons.values()) for reasons in dirt.quarantined().values())
        self.stdout.write(
            f"{dirt.users:,} users and licences in {tenants:,} tenants, {time.monotonic() - started:.1f} s; "
            f"a run of its plan quarantines {expected:,} rows."
        )
