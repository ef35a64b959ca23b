"""The reconciliation of a run: every source row is copied or in quarantine, or the run fails."""

from __future__ import annotations

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
        }


def report(run: Run) -> Report:
    """Read the ledger. Raises DatabaseUnreachable."""
    about = {"run": run.key, "verification": run.verification}
    with databases.iam("report") as iam:
        copied = {row["table_name"]: row for row in ledger.rows(iam, queries("report")["copied"], about)}
        reasons: dict[str, dict[str, int]] = {}
        retried: dict[str, int] = {}
        for row in ledger.rows(iam, queries("report")["quarantined"], about):
            if row["state"] == "copied":
                retried[row["table_name"]] = retried.get(row["table_name"], 0) + row["count"]
            else:
                found = reasons.setdefault(row["table_name"], {})
                found[row["reason"]] = found.get(row["reason"], 0) + row["count"]
        mismatched = {
            row["table_name"]: row["count"] for row in ledger.rows(iam, queries("report")["mismatched"], about)
        }
        verified = {}
        if run.capture:
            verified = {row["table_name"]: row for row in ledger.rows(iam, queries("report")["verified"], about)}
        checks = ledger.rows(iam, queries("report")["checks"], about)
        left = {row["table_name"]: row["count"] for row in ledger.rows(iam, queries("report")["left"], about)}
        clock = ledger.rows(iam, queries("report")["clock"], about)[0]["seconds"]
    tables = {}
    for table in run.plan.tables:
        name = table.target
        row = copied.get(name, {"source": 0, "written": 0, "seconds": 0.0})
        why = reasons.get(name, {})
        seconds = float(row["seconds"] or 0)
        source, written = int(row["source"] or 0), int(row["written"] or 0) + retried.get(name, 0)
        if name in verified:
            # Legacy went on changing: what counts is what it holds now, and what of that is in the IAM.
            source = verified[name]["legacy"] + sum(why.values())
            written = verified[name]["legacy"] - verified[name]["missing"]
        tables[name] = TableReport(
            source=source,
            copied=written,
            quarantined=sum(why.values()),
            mismatched=mismatched.get(name, 0),
            reasons=why,
            seconds=seconds,
            rows_per_second=round(written / seconds) if seconds else 0,
        )
    return Report(run.pk, run.state, run.dry_run, float(clock or 0), tables, checks, left)
