"""Rolling back from a terminal: exit 0 only when every step ended well."""

from __future__ import annotations

import time
from typing import Any

from flags import maintenance
from migration_portal.backups.models import Backup
from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal
from migration_portal.rollback import doors, execute
from migration_portal.rollback.log import as_text, log_of
from migration_portal.rollback.models import RollBack, Step
from migration_portal.rollback.plans import Kind

_POLL_SECONDS = 0.5
_AFTER = ["manage.py portal status", "manage.py portal doors open"]
_TODO = "Follow or decide: manage.py portal go_on [--agree|--retry|--skip …|--stop …], or Roll-back in the console."


def arguments(verbs: Any) -> None:
    going = verbs.add_parser("roll_back", help="roll back, or rehearse it; waits for the end, or for a step that asks")
    going.add_argument("kind", choices=list(Kind))
    going.add_argument("--reason", required=True)
    going.add_argument("--wave", default="", help="of an immediate one: whose tenants move back")
    going.add_argument("--feature", action="append", default=[], metavar="NAME", help="of a partial one: what goes off")
    going.add_argument("--backup", type=int, help="of a full one: what is restored")
    going.add_argument("--rehearse", action="store_true", help="up to where somebody would notice")
    going.add_argument("--agree", action="store_true", help="agree to steps that ask, instead of stopping there")
    going.add_argument("--json", action="store_true")
    going = verbs.add_parser(
        "go_on", help="follow the roll-back that is under way, or decide about the step it waits at"
    )
    deciding = going.add_mutually_exclusive_group()
    deciding.add_argument("--retry", action="store_true", help="try the failed step again")
    deciding.add_argument("--skip", metavar="REASON", help="go on without the step")
    deciding.add_argument("--stop", metavar="REASON", help="go no further")
    going.add_argument("--agree", action="store_true", help="agree to steps that ask")
    going.add_argument("--json", action="store_true")
    closing = verbs.add_parser("doors", help="close the doors to writes, or open them")
    closing.add_argument("doors", choices=["open", "closed"])
    closing.add_argument("--reason", default="")
    closing.add_argument("--minutes", type=int, help="for how long, so that clients know")


def roll_back(out: Terminal, by: str, options: dict[str, Any]) -> None:
    made = execute.start(
        Kind(options["kind"]), by=by, reason=options["reason"], wave=options["wave"], features=options["feature"],
        backup=Backup.objects.filter(pk=options["backup"]).first() if options["backup"] else None,
        rehearsal=options["rehearse"],
    )  # fmt: skip
    _follow(out, made, by, options)


def go_on(out: Terminal, by: str, options: dict[str, Any]) -> None:
    made = RollBack.objects.under_way().first()
    if made is None:
        raise Refusal("No roll-back is under way.", todo="Start one: manage.py portal roll_back KIND --reason …")
    step = made.step
    if options["stop"]:
        execute.stop(made, by=by, reason=options["stop"])
        out.answer(
            {"roll_back": made.pk, "state": "stopped"},
            [f"{made} is stopped. What was done stays done."],
            next_steps=_AFTER,
        )
        return
    if step is not None and options["retry"]:
        execute.retry(step, by=by)
    elif step is not None and options["skip"]:
        execute.skip(step, by=by, reason=options["skip"])
    _follow(out, made, by, options)


def _follow(out: Terminal, made: RollBack, by: str, options: dict[str, Any]) -> None:
    """Until it ends. Raises Refusal where it needs a person; Ctrl-C ends the following alone."""
    told: set[int] = set()
    try:
        while made.ended_at is None:
            execute.go_on()
            _tell(out, made, told)
            step = made.step
            if step is not None and step.state == Step.State.ASKS and options["agree"]:
                execute.approve(step, by=by)
            elif step is not None and step.needs_person:
                doors = " The doors are closed." if maintenance.current() else ""
                raise Refusal(f"{step.detail or 'It asks first.'}{doors}", subject=f"{made}: {step}", todo=_TODO)
            else:
                time.sleep(_POLL_SECONDS)
            made.refresh_from_db()
    except KeyboardInterrupt:
        raise Refusal("It continues without you.", subject=str(made), todo=_TODO) from None
    _tell(out, made, told)
    steps = list(made.steps.values("phase", "action", "state", "detail"))  # type: ignore[attr-defined]
    about = {"roll_back": made.pk, "state": made.state, "log": log_of(made), "steps": steps}
    out.answer(about, [f"\n{as_text(made)}"], next_steps=_AFTER)
    if made.outcome != RollBack.Outcome.DONE:
        raise Refusal(f"It is {made.state}.", subject=str(made))


def _tell(out: Terminal, made: RollBack, told: set[int]) -> None:
    for step in made.steps.filter(state__in=Step.ENDED).exclude(pk__in=told):  # type: ignore[attr-defined]
        told.add(step.pk)
        out.write(f"{step.state:<11} {step}: {step.detail}")


def close_or_open(out: Terminal, by: str, options: dict[str, Any]) -> None:
    if options["doors"] == "open":
        doors.open_doors(by=by, reason=options["reason"])
    else:
        doors.close_doors(by=by, reason=options["reason"], minutes=options["minutes"])
    out.write(f"The doors are {options['doors']}.")


VERBS = {"roll_back": roll_back, "go_on": go_on, "doors": close_or_open}
