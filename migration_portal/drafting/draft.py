"""Drafting a plan between the two databases of this portal."""

from __future__ import annotations

from dataclasses import dataclass

from migration_portal import databases
from migration_portal.drafting.drafting import draft
from migration_portal.drafting.evidence import look
from migration_portal.drafting.model import Draft
from migration_portal.drafting.text import text
from migration_portal.refusal import Refusal


@dataclass(frozen=True)
class Drafted:
    """What was drafted, and the text of its plan file."""

    draft: Draft
    text: str


def draft_now(name: str, *, source_schema: str = "public", target_schema: str = "public") -> Drafted:
    """Read both catalogs and some rows of legacy's. Read-only.

    Raises DatabaseUnreachable, or Refusal where there is nothing to draft from, or nothing to draft for.
    """
    with databases.both("draft") as (legacy, iam):
        databases.enter(legacy, source_schema)
        with legacy.transaction():
            ours = look(legacy, source_schema)
        theirs = look(iam, target_schema, rows=0)
    if not ours.tables:
        raise Refusal(
            f"Schema {source_schema} has no tables that the role may see.", subject="legacy database",
            todo="Name its schema, or grant SELECT on its tables.",
        )  # fmt: skip
    if "users" not in theirs.tables:
        raise Refusal("The IAM has no tables yet.", subject="IAM database", todo="Apply the schema scripts first.")
    made = draft(ours, theirs)
    if not made.tables:
        raise Refusal(
            "No table is like one of the IAM's.", subject=f"schema {source_schema}",
            todo="Write the plan by hand: docs/plan-file.md says how.",
        )  # fmt: skip
    return Drafted(made, text(made, name, source_schema=source_schema))
