"""The ladder of roll-backs, each as a plan: which actions, in which phase and in which order. Pure.

The phases are the strategy document's seven. Its plan restored a backup over everything written since; ours restores beside,
lists what was written since, and waits until somebody has decided about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

PHASES = {
    "maintenance": "Stop accepting writes",
    "database": "Restore the database",
    "files": "Restore files",
    "configuration": "Restore the configuration",
    "traffic": "Switch traffic back",
    "validation": "Validate",
    "notification": "Notify",
}


class Kind(StrEnum):
    """From the mildest to the widest."""

    GRADUAL = "gradual"
    FRONT_END = "front_end"
    PARTIAL = "partial"
    IMMEDIATE = "immediate"
    DATABASE = "database"
    FULL = "full"


MEANINGS = {
    Kind.GRADUAL: "Ramps stop where they are. Nobody is moved.",
    Kind.FRONT_END: "The chosen features of the user interface go off for everybody.",
    Kind.PARTIAL: "Ramps stop, and the chosen features go off for everybody.",
    Kind.IMMEDIATE: "Ramps stop, and the tenants of a wave return to legacy with what they wrote.",
    Kind.DATABASE: "Every tenant returns to legacy with what it wrote, and what the run copied is removed from the IAM.",
    Kind.FULL: "Writes stop, a backup takes a side's place, writes since are taken or left, every tenant returns to legacy.",
}
OF_FEATURES = (Kind.FRONT_END, Kind.PARTIAL)
TITLES = {
    "close_doors": "Close the doors to writes",
    "stop_ramps": "Stop ramps",
    "switch_off_features": "Switch features off",
    "reverse_tenants": "Move tenants back to legacy",
    "undo_run": "Undo what the run copied",
    "restore_backup": "Restore the backup beside, and compare it",
    "swap_database": "Put the restored database in place",
    "list_written": "List what was written since the backup",
    "decide_written": "Decide about what was written since",
    "fetch_files": "Unpack the backup's files beside",
    "place_files": "Put the files in place",
    "compare_configuration": "Compare the settings with the backup's",
    "apply_configuration": "Set what differs",
    "open_doors": "Open the doors",
    "check_services": "Every part of the product is well",
    "check_sign_in": "A user can sign in and work",
    "compare_tenants": "Tenants are equal on both sides",
    "notify": "Tell those on duty",
}
_VALIDATION = (
    ("validation", "check_services"), ("validation", "check_sign_in"), ("validation", "compare_tenants"),
    ("notification", "notify"),
)  # fmt: skip
_PLANS: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.GRADUAL: (("traffic", "stop_ramps"), ("notification", "notify")),
    Kind.FRONT_END: (("traffic", "switch_off_features"), ("validation", "check_services"), ("notification", "notify")),
    Kind.PARTIAL: (
        ("traffic", "stop_ramps"), ("traffic", "switch_off_features"), ("validation", "check_services"),
        ("validation", "check_sign_in"), ("notification", "notify"),
    ),
    Kind.IMMEDIATE: (("traffic", "stop_ramps"), ("traffic", "reverse_tenants"), *_VALIDATION),
    Kind.DATABASE: (
        ("maintenance", "stop_ramps"), ("database", "reverse_tenants"), ("database", "undo_run"),
        ("validation", "check_services"), ("validation", "check_sign_in"), ("notification", "notify"),
    ),
    Kind.FULL: (
        ("maintenance", "stop_ramps"), ("maintenance", "close_doors"),
        ("database", "restore_backup"), ("database", "swap_database"), ("database", "list_written"),
        ("database", "decide_written"),
        ("files", "fetch_files"), ("files", "place_files"),
        ("configuration", "compare_configuration"), ("configuration", "apply_configuration"),
        ("traffic", "reverse_tenants"), ("traffic", "open_doors"), *_VALIDATION,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """One action of a plan, and whether a person has to agree before it begins."""

    phase: str
    action: str
    asks: bool


def planned(kind: Kind, *, asks: frozenset[str]) -> Iterator[Planned]:
    """The plan's actions in their order. `asks` are those that wait until a person agrees."""
    for phase, action in _PLANS[kind]:
        yield Planned(phase, action, action in asks)
