"""One side's rows on the mapped expressions: selected, hashed, read field by field, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import ledger, quarantine
from migration_portal.engine.queries import queries
from migration_portal.engine.source import keys_in
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import belonging, compile
from migration_portal.plan.model import Table

Side = Literal["legacy", "iam"]
SIDES: tuple[Side, Side] = ("legacy", "iam")
MOST_FINDINGS = 1000
"""Rows reported a table; beyond that they are only counted."""
_LONGEST = 200


@dataclass(frozen=True)
class Difference:
    """A row that is not the same on both sides. `fields` maps a column to (legacy, iam) text, secrets masked."""

    kind: Literal["missing", "extra", "differs"]
    key: tuple[str, ...]
    fields: dict[str, tuple[str | None, str | None]]


def connection_of(transfer: Transfer, side: Side) -> Connection[Any]:
    return transfer.source if side == "legacy" else transfer.target


def same_hashes(transfer: Transfer) -> bool:
    """Whether both servers hash alike. Only md5 is promised across versions, so ask them instead of guessing.

    Hashes are of bytes: never the same for the same text in two encodings.
    """
    if _encoding(transfer.source) != _encoding(transfer.target):
        return False
    probe = queries("verification")["probe"]
    with transfer.source.transaction(), transfer.target.transaction():
        return transfer.source.execute(probe).fetchone() == transfer.target.execute(probe).fetchone()


def _encoding(connection: Connection[Any]) -> str | None:
    return connection.info.parameter_status("server_encoding")


def row_hash(row: Composable, quick: int) -> Composable:
    """64 bits of a ROW(…): by the server's own hash where both servers hash alike (`quick`), else md5 of its UTF-8 text."""
    if quick:
        return SQL("hash_record_extended({}, 0)").format(row)
    return SQL("('x' || substr(md5(convert_to({}::text, 'UTF8')), 1, 16))::bit(64)::bigint").format(row)


def compared_columns(transfer: Transfer, table: Table) -> list[str]:
    """The columns to compare: all of a table we loaded; in a table in use, the plan's defaults belong to the IAM."""
    if not transfer.in_iam and ledger.modes(transfer.target, transfer.run).get(table.target) == "load":
        return list(table.column_names)
    return shared_columns(table)


def shared_columns(table: Table) -> list[str]:
    """What both systems keep: the plan's defaults belong to the IAM."""
    return [column.name for column in table.columns if not column.default]


def select_rows(transfer: Transfer, table: Table, side: Side, where: Composable, *, guarded: bool = True) -> Composable:
    """The mapped columns of one side's rows, as a SELECT. Quarantined legacy rows are accounted for, so they are left out."""
    if transfer.in_iam and not table.returns:
        where = SQL("({}) AND {}").format(where, _at_home_in_legacy(transfer, table, side))
    if side == "iam":
        columns = SQL(", ").join(map(Identifier, compared_columns(transfer, table)))
        statement = SQL("SELECT {}, xmin::text AS portal_xmin FROM {} WHERE {}")
        return statement.format(columns, transfer.target_table(table.target), where)
    absent = quarantine.open_keys(transfer, table)
    if absent:
        where = SQL("({}) AND NOT {}").format(where, keys_in([Identifier(k) for k in table.key], absent))
    extra = [SQL("'' AS portal_xmin")]
    return compile.mapped(transfer.plan, table, transfer.info(table), where=where, extra=extra, guarded=guarded)


def _at_home_in_legacy(transfer: Transfer, table: Table, side: Side) -> Composable:
    """Rows of tenants at home in legacy: a table without a reverse section is the IAM's alone for the others."""
    if side == "legacy":
        tenant = belonging.tenant_of_source_row(transfer.plan, table.source, transfer.source_catalog)
    else:
        schema = Identifier(transfer.schema)
        tenant = belonging.target_tenant(transfer.plan, table, transfer.target_catalog, schema, table.target)
    return belonging.at_home(tenant, transfer.in_iam, by_default=True)


def differing_fields(
    table: Table, legacy: dict[str, str | None], iam: dict[str, str | None]
) -> dict[str, tuple[str | None, str | None]]:
    return {
        name: ("(secret)", "(secret)") if name in table.secret else (_shown(legacy[name]), _shown(iam[name]))
        for name in legacy
        if legacy[name] != iam[name]
    }


def _shown(value: str | None) -> str | None:
    return value if value is None or len(value) <= _LONGEST else f"{value[:_LONGEST]}… ({len(value)} characters)"


def record(transfer: Transfer, table: Table, verification: int, differences: Sequence[Difference]) -> None:
    """Store differences as findings: one a row, or one a field where fields differ."""
    about = {"run": transfer.run, "verification": verification, "table": table.target, "severity": "error"}
    findings: list[dict[str, Any]] = [
        about | {"kind": d.kind, "key": list(d.key), "field": field, "legacy": legacy, "iam": iam}
        for d in differences[:MOST_FINDINGS]
        for field, (legacy, iam) in (d.fields or {"": (None, None)}).items()
    ]
    if len(differences) > MOST_FINDINGS:
        more = str(len(differences) - MOST_FINDINGS)
        findings.append(about | {"kind": "more", "key": [], "field": "", "legacy": more, "iam": None})
    if findings:
        with transfer.target.cursor() as cursor:
            cursor.executemany(queries("verification")["finding"], findings)
