"""What can be wrong with a plan."""

from __future__ import annotations

from migration_portal.refusal import Refusal


class PlanError(Refusal):
    """The plan file cannot be read, or does not fit the databases."""
