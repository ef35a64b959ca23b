"""The reconciliation of a run: every source row is copied or in quarantine, or the run fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from migration_portal import databases
from migration_portal.engine import ledger
from migration_portal.engine.queries import queries
from migration_portal.runs.models import Run


@dataclass(frozen=True)
class TableReport:
    """Rows of one target table. `seconds` is from its first chunk to its last, verification excluded."""

    source: int
    copied: int
    quarantined: int
    mismatched: int
    reasons: dict[str, int]
    seconds: float
    rows_per_second: int

    @property
    def accounted(self) -> bool:
        """Nothing lost, nothing invented, nothing different."""
        return self.source == self.copied + self.quarantined and self.mismatched == 0


@dataclass(frozen=True)
class Report:
    """All tables, the named checks, and what it took."""

    run: int
    state: str
    dry_run: bool
    seconds: float
    tables: dict[str, TableReport]
    checks: list[dict[str, Any]] = field(default_factory=list)
    left_in_place: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """What kept the run from its end: steps, and why."""

    @property
    def accounted(self) -> bool:
        return all(table.accounted for table in self.tables.values())

    @property
    def passed(self) -> bool:
        """Completed, every row accounted for, and no check says error."""
        bad = any(check["severity"] == "error" for check in self.checks)
        return self.state == "completed" and self.accounted and not bad

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "run": self.run,
            "state": self.state,
            "dry_run": self.dry_run,
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
            "tables": {
                name: table.__dict__ | {"seconds": round(table.seconds, 3)} for name, table in self.tables.items()
            },
            "checks": self.checks,
            "left_in_place": self.left_in_place,
            "failures": self.failures,
        }


def report(run: Run) -> Report:
    """Read the ledger. Raises DatabaseUnreachable."""
    about = {"run": run.key, "verification": run.verification}
    with databases.iam("report") as iam:

        def by_table(query: str) -> dict[str, dict[str, Any]]:
            return {row["table_name"]: row for row in ledger.rows(iam, queries("report")[query], about)}

        copied, mismatched, left = by_table("copied"), by_table("mismatched"), by_table("left")
        # Under capture legacy changes all the while: what counts is what it holds now, and what of that is in the IAM.
        verified = by_table("verified")
        quarantined = ledger.rows(iam, queries("report")["quarantined"], about)
        checks = ledger.rows(iam, queries("report")["checks"], about)
        clock = ledger.rows(iam, queries("report")["clock"], about)[0]["seconds"]
    tables = {}
    for table in run.plan.tables:
        rows = [row for row in quarantined if row["table_name"] == table.target]
        tables[table.target] = _table(
            copied.get(table.target), verified.get(table.target), rows, mismatched.get(table.target)
        )
    left_in_place = {name: row["count"] for name, row in left.items()}
    return Report(run.pk, run.state, run.dry_run, float(clock or 0), tables, checks, left_in_place, run.failures)


def _table(
    copied: dict[str, Any] | None,
    verified: dict[str, Any] | None,
    quarantined: list[dict[str, Any]],
    mismatched: dict[str, Any] | None,
) -> TableReport:
    """One table out of the ledger's rows about it; None where the ledger has none."""
    copied = copied or {"source": 0, "written": 0, "seconds": 0.0}
    reasons: Counter[str] = Counter()
    retried = 0
    for row in quarantined:
        if row["state"] == "copied":
            retried += row["count"]
        else:
            reasons[row["reason"]] += row["count"]
    source, written = int(copied["source"] or 0), int(copied["written"] or 0) + retried
    if verified is not None:
        source, written = verified["legacy"] + reasons.total(), verified["legacy"] - verified["missing"]
    seconds = float(copied["seconds"] or 0)
    return TableReport(
        source=source,
        copied=written,
        quarantined=reasons.total(),
        mismatched=mismatched["count"] if mismatched else 0,
        reasons=dict(reasons),
        seconds=seconds,
        rows_per_second=round(written / seconds) if seconds else 0,
    )
