"""The roll-back log, filled by the execution: the template of the capability plan."""

from __future__ import annotations

from migration_portal.rollback.models import RollBack, Step

_VALIDATION = "validation"


def log_of(made: RollBack) -> dict[str, str]:
    """Field → value, in the template's order."""
    steps: list[Step] = list(made.steps.all())  # type: ignore[attr-defined]
    looked = [step for step in steps if step.phase == "validation" and step.began_at]
    done = [
        step for step in steps if step.state == Step.State.DONE and step.phase not in ("validation", "notification")
    ]
    decided = [_decision(step) for step in steps if step.decided_by]
    return {
        "Date": f"{made.requested_at:%Y-%m-%d}",
        "Time": f"{made.requested_at:%H:%M:%S} UTC",
        "Triggered by": made.requested_by,
        "Reason": made.reason,
        "Type": f"{made.get_kind_display()}{', rehearsal' if made.rehearsal else ''}",
        "Components": "; ".join(map(str, done)) or "none yet",
        "Duration": f"{made.seconds} s{'' if made.ended_at else ' so far'}",
        "Verification": " ".join(f"{step}: {step.state}. {step.detail}" for step in looked) or "not yet",
        "Notes": "\n".join(filter(None, [*decided, made.notes])) or "none",
    }


def _decision(step: Step) -> str:
    verb = "skipped" if step.state == Step.State.SKIPPED else "agreed to"
    return f"{step}: {verb} by {step.decided_by}{': ' if step.reason else ''}{step.reason}"


def as_text(made: RollBack) -> str:
    return "\n".join(f"{field}: {value}" for field, value in log_of(made).items())
