"""Plans that differ from the default one."""

from pathlib import Path

from django.conf import settings

from migration_portal.engine import ledger
from migration_portal.runs.advance import advance
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.report import report


def reasons(run) -> dict[str, dict[str, int]]:
    return {name: table.reasons for name, table in report(run).tables.items() if table.reasons}


def builders_until_copy(run) -> None:
    """Advance until copy chunks wait."""
    from migration_portal.engine.kinds import perform

    advance(run)
    with open_transfer(run, "test") as transfer:
        perform(transfer, ledger.claim(transfer.target, run.key, "test"))
    advance(run)


def with_rules(tmp_path: Path, rules: str) -> Path:
    """The plan of the settings, with these reject rules for users before its own."""
    head, users = Path(settings.MIGRATION_PLAN).read_text().split('[[tables]]\nsource = "users"\n', 1)
    users = users.replace("[tables.reject]\n", f"[tables.reject]\n{rules.strip()}\n", 1)
    plan = tmp_path / "plan.toml"
    plan.write_text(f'{head}[[tables]]\nsource = "users"\n{users}')
    return plan
