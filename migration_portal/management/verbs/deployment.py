"""The deployment plan from a terminal: exit 1 where a gate refuses."""

from __future__ import annotations

from typing import Any

from migration_portal import console
from migration_portal.deployment import work
from migration_portal.deployment.models import Plan, Task
from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal


def arguments(verbs: Any) -> None:
    planning = verbs.add_parser("plan", help="deployment plans: make one, run its checks, pass its gates")
    planning.add_argument("what", choices=["make", "show", "check", "pass"])
    planning.add_argument("name", nargs="?", default="")
    planning.add_argument("--template", choices=sorted(work.templates()), default="strategy")
    planning.add_argument("--starts", default="", metavar="TIME", help="when the first phase begins")
    planning.add_argument("--override", default="", metavar="REASON", help="pass although it is not green")
    planning.add_argument("--json", action="store_true")


def plan(out: Terminal, by: str, options: dict[str, Any]) -> None:
    if options["what"] == "make":
        made = work.make(options["name"], options["template"], by=by, starts_at=console.moment(options["starts"]))
        _tell(out, made)
        return
    found = Plan.objects.filter(name=options["name"]) if options["name"] else Plan.objects.all()
    chosen = found.first()
    if chosen is None:
        raise Refusal(
            "There is no such plan.", subject=options["name"] or "plan", todo="manage.py portal plan make NAME"
        )
    if options["what"] == "check":
        tasks = Task.objects.filter(phase__plan=chosen).exclude(check_name="")
        red = tasks.count() - work.prove(tasks, by=by)
    elif options["what"] == "pass":
        phase = chosen.phases.filter(passed_at=None).first()  # type: ignore[attr-defined]
        if phase is None:
            raise Refusal("Every phase has passed.", subject=chosen.name)
        work.pass_gate(phase, by=by, override=options["override"])
    _tell(out, chosen)
    if options["what"] == "check" and red:
        raise Refusal(f"Checks that are not green: {red}.", subject=chosen.name, todo="What each says stands above.")


def _tell(out: Terminal, chosen: Plan) -> None:
    told, lines = work.as_dict(chosen), []
    for phase in told["phases"]:
        mark = "overridden" if phase["override"] else "passed" if phase["passed_at"] else "open"
        lines.append(f"{mark:<11} {phase['name']}")
        for task in phase["tasks"]:
            said = task["evidence"]["what"] if task["evidence"] else task["note"]
            lines.append(f"  {'x' if task['done_at'] else ' '} {task['name']}{': ' + said if said else ''}")
    out.answer(told, lines, next_steps=told["next_steps"])


VERBS = {"plan": plan}
