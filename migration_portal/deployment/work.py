"""Making a plan from a template, doing and proving its tasks, and passing its gates."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from migration_portal.audit import chain
from migration_portal.deployment.checks import look
from migration_portal.deployment.models import Contact, Phase, Plan, Task
from migration_portal.refusal import Refusal, require_reason

_TEMPLATES = Path(__file__).parent / "templates"
_KEPT = 20
"""Results kept of each task."""
_OPEN: dict[str, Any] = {"done_at": None, "done_by": "", "signed_at": None, "signed_by": ""}


def templates() -> dict[str, str]:
    """Titles by name."""
    return {
        path.stem: tomllib.loads(path.read_text(encoding="utf-8"))["title"]
        for path in sorted(_TEMPLATES.glob("*.toml"))
    }


def make(name: str, template: str, *, by: str, starts_at: datetime | None = None) -> Plan:
    """A plan of this template, whose phases follow each other from `starts_at`. Raises Refusal."""
    if template not in templates():
        raise Refusal(
            f"There is no such template; there are: {', '.join(templates())}.", subject=template[:40] or "plan"
        )
    name = name.strip()
    if not name or len(name) > 100:
        raise Refusal("A plan has a name of at most 100 characters.", subject="plan")
    if Plan.objects.filter(name=name).exists():
        raise Refusal("There is a plan of that name already.", subject=name, todo="Choose another name.")
    content = tomllib.loads((_TEMPLATES / f"{template}.toml").read_text(encoding="utf-8"))
    at = starts_at or timezone.now()
    with transaction.atomic():
        plan = Plan.objects.create(name=name, template=template, made_by=by)
        for order, each in enumerate(content["phases"]):
            ends = at + timedelta(hours=each["hours"])
            phase = Phase.objects.create(
                plan=plan, order=order, name=each["name"], starts_at=at, ends_at=ends, gate=each["gate"]
            )
            Task.objects.bulk_create(
                Task(
                    phase=phase,
                    order=n,
                    name=task["name"],
                    role=task["role"],
                    check_name=task.get("check", ""),
                    due_at=ends,
                )
                for n, task in enumerate(each["tasks"])
            )
            at = ends
        chain.record("make_plan", of=plan, by=by, data={"plan": name})
    return plan


def prove(tasks: Iterable[Task], *, by: str) -> int:
    """Run the tasks' checks, keep what they say, and mark those done that are proven. Returns how many are."""
    proven, said = 0, {}
    for task in tasks:
        if not task.check_name:
            continue
        if task.check_name not in said:
            said[task.check_name] = look(task.check_name)
        result = said[task.check_name]
        results = [result.as_dict() | {"by": by}, *task.results][:_KEPT]
        changes: dict[str, Any] = {"results": results}
        verb = ""
        if result.passed and task.done_at is None:
            verb, changes = "task_done", changes | {"done_at": timezone.now(), "done_by": by}
        elif result.passed is False and task.done_at is not None:
            verb, changes = "task_reopened", changes | _OPEN  # what was proven, and signed off, is not so any more
        with transaction.atomic():
            Task.objects.filter(pk=task.pk).update(**changes)
            if verb:
                chain.record(verb, of=task, by=by, reason=result.what[:500])
        proven += bool(result.passed)
    return proven


def done(task: Task, *, by: str, note: str) -> None:
    """Mark a task done that no check proves. Raises Refusal, also without a note that says how."""
    if task.check_name:
        raise Refusal("Its check proves it.", subject=str(task), todo="Run the checks.")
    require_reason(note, to="Marking it done", subject=str(task))
    with transaction.atomic():
        marked = Task.objects.filter(pk=task.pk, done_at=None).update(done_at=timezone.now(), done_by=by, note=note)
        if not marked:
            task.refresh_from_db()
            raise Refusal(f"{task.done_by} has done it: {task.note}", subject=str(task), todo="Your note was not kept.")
        chain.record("task_done", of=task, by=by, reason=note)


def sign(task: Task, *, by: str) -> None:
    """Somebody else than who did it says that it is done. Raises Refusal."""
    with transaction.atomic():
        held = Task.objects.select_for_update().get(pk=task.pk)
        if held.done_at is None:
            raise Refusal("It is not done.", subject=str(held))
        if held.signed_at is not None:
            raise Refusal(f"{held.signed_by} has signed it off.", subject=str(held))
        if held.done_by == by:
            raise Refusal("Somebody else signs off what you did.", subject=str(held))
        Task.objects.filter(pk=held.pk).update(signed_at=timezone.now(), signed_by=by)
        chain.record("sign_task", of=held, by=by)


def assign(task: Task, *, owner: str, due_at: datetime | None, by: str) -> None:
    """Who does it, and until when."""
    with transaction.atomic():
        Task.objects.filter(pk=task.pk).update(owner=owner.strip()[:150], **({"due_at": due_at} if due_at else {}))
        chain.record("assign_task", of=task, by=by, data={"to": owner.strip()[:150]})


def pass_gate(phase: Phase, *, by: str, override: str = "") -> None:
    """Let the phase pass: all before it have, its tasks are done (and signed off where no check proves them), and its criteria
    are measured green now.

    With `override`, an approver's reason, what is not done or not green does not count; it stays visible. Raises Refusal.
    """
    with transaction.atomic():
        held = Phase.objects.select_for_update().get(pk=phase.pk)
        if held.passed_at is not None:
            raise Refusal("It has passed already.", subject=str(held))
        before = Phase.objects.filter(plan=held.plan, order__lt=held.order, passed_at=None).first()
        if before is not None:
            raise Refusal(f"“{before}” has not passed.", subject=str(held), todo="Pass the phases in their order.")
        prove(held.tasks.all(), by=by)  # type: ignore[attr-defined]
        results = [{"check": name, **look(name).as_dict()} for name in held.gate]
        missing = [f"{result['check']}: {result['what']}" for result in results if not result["passed"]]
        missing += [f"not done: {task}" for task in held.tasks.filter(done_at=None)]  # type: ignore[attr-defined]
        unsigned = held.tasks.filter(check_name="", done_at__isnull=False, signed_at=None)  # type: ignore[attr-defined]
        missing += [f"not signed off by another: {task}" for task in unsigned]
        refused = bool(missing) and not override.strip()
        changes: dict[str, Any] = {"results": results}
        if not refused:
            changes |= {"passed_at": timezone.now(), "passed_by": by, "override": override.strip() if missing else ""}
            if missing:
                told = {"by": by, "at": timezone.now().isoformat(), "reason": override.strip(), "missing": missing}
                changes["overrides"] = [*held.overrides, told]
            chain.record("override_gate" if missing else "pass_gate", of=held, by=by, reason=override.strip())
        Phase.objects.filter(pk=held.pk).update(**changes)
    if refused:
        raise Refusal(
            " ".join(missing), subject=str(held), todo="Do what is missing; or an approver overrides it, with a reason."
        )


def reopen(phase: Phase, *, by: str, reason: str) -> None:
    """Take back that a phase, and those after it, have passed. Raises Refusal without a reason."""
    require_reason(reason, to="Reopening", subject=str(phase))
    with transaction.atomic():
        later = Phase.objects.filter(plan=phase.plan, order__gte=phase.order, passed_at__isnull=False)
        if not later.update(passed_at=None, passed_by="", override=""):
            raise Refusal("It has not passed.", subject=str(phase))
        chain.record("reopen_phase", of=phase, by=by, reason=reason)


def set_contact(role: str, name: str, reach: str, *, on_duty: bool, by: str) -> Contact:
    """Whom to call. Raises Refusal."""
    if not role.strip() or not name.strip() or not reach.strip():
        raise Refusal("A contact has a role, a name, and how to reach them.", subject="contact")
    with transaction.atomic():
        made, _ = Contact.objects.update_or_create(
            role=role.strip()[:60], name=name.strip()[:150], defaults={"reach": reach.strip()[:200], "on_duty": on_duty}
        )
        chain.record("set_contact", of=made, by=by, data={"to": made.role})
    return made


def remove_contact(contact: Contact, *, by: str) -> None:
    with transaction.atomic():
        gone = Contact.objects.filter(pk=contact.pk)
        if gone.delete()[0]:
            chain.record("remove_contact", of=contact, by=by, data={"to": contact.role})


def as_dict(plan: Plan) -> dict[str, Any]:
    """For export: everything about it, times in ISO 8601."""

    def when(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment else None

    return {
        "plan": plan.name, "template": plan.template, "made_by": plan.made_by, "made_at": when(plan.made_at),
        "phases": [
            {
                "name": phase.name, "starts_at": when(phase.starts_at), "ends_at": when(phase.ends_at), "gate": phase.gate,
                "passed_at": when(phase.passed_at), "passed_by": phase.passed_by, "override": phase.override,
                "overrides": phase.overrides, "results": phase.results,
                "tasks": [
                    {
                        "name": task.name, "role": task.role, "owner": task.owner, "due_at": when(task.due_at),
                        "check": task.check_name,
                        "done_at": when(task.done_at), "done_by": task.done_by, "signed_by": task.signed_by, "note": task.note,
                        "evidence": task.last,
                    }
                    for task in phase.tasks.all()  # type: ignore[attr-defined]
                ],
            }
            for phase in plan.phases.prefetch_related("tasks")  # type: ignore[attr-defined]
        ],
        "next_steps": next_steps(plan),
    }  # fmt: skip


def next_steps(plan: Plan) -> list[str]:
    phase = plan.phases.filter(passed_at=None).first()  # type: ignore[attr-defined]
    if phase is None:
        return []
    left = [str(task) for task in phase.tasks.filter(done_at=None)]
    return [*left, f"Pass “{phase}”: manage.py portal plan pass {plan.name!r}"]
