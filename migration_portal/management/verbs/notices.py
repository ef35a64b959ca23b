"""Notices from a terminal: exit 0 only when every recipient got it, where it is waited for."""

from __future__ import annotations

import time
from typing import Any

from migration_portal import console
from migration_portal.management.terminal import Terminal
from migration_portal.notices import audience, plan
from migration_portal.notices.models import Notice
from migration_portal.refusal import Refusal

_POLL_SECONDS = 1.0
_PLAN = ["manage.py portal notify NAME --template …"]
_OPEN = (Notice.State.PLANNED, Notice.State.SENDING)


def arguments(verbs: Any) -> None:
    telling = verbs.add_parser(
        "notify", help="tell users something, by mail and inside the applications; or how far that is"
    )
    telling.add_argument("name", help="of the notice; alone, it says how far it is")
    telling.add_argument("--template")
    telling.add_argument("--to", default="all", help="all, iam, legacy, wave:NAME, or tenants:ID,ID")
    telling.add_argument("--role", default="")
    telling.add_argument("--passwords", choices=["legacy"], help="only people whose password legacy alone can check")
    telling.add_argument("--at", default="", metavar="TIME", help="begin then")
    telling.add_argument("--in-app", action="store_true", help="show it inside the applications, too")
    telling.add_argument("--no-mail", action="store_true")
    telling.add_argument("--count", action="store_true", help="say how many people it would reach, and plan nothing")
    telling.add_argument("--test", metavar="ADDRESS", help="send this address one message with sample values")
    telling.add_argument("--wait", action="store_true", help="until it has been sent")
    telling.add_argument("--reason", default="")
    telling.add_argument("--json", action="store_true")


def notify(out: Terminal, by: str, options: dict[str, Any]) -> None:
    template = options["template"]
    if template and options["test"]:
        plan.send_test(template, options["test"])
        out.answer({"sent_to": options["test"]}, [f"Sent to {options['test']}."], next_steps=_PLAN)
        return
    if options["count"]:
        people = audience.size(_audience(options))
        out.answer({"people": people}, [f"{people:,} people."], next_steps=_PLAN)
        return
    if template:
        notice = plan.plan(
            options["name"], template, _audience(options), by=by, reason=options["reason"], mail=not options["no_mail"],
            in_app=options["in_app"], starts_at=console.moment(options["at"]),
        )  # fmt: skip
    else:
        found = Notice.objects.filter(name=options["name"]).first()
        if found is None:
            raise Refusal("There is no such notice.", subject=options["name"], todo="Plan it with --template.")
        notice = found
    _follow(out, notice, options)


def _follow(out: Terminal, notice: Notice, options: dict[str, Any]) -> None:
    try:
        while options["wait"] and notice.state in _OPEN:
            time.sleep(_POLL_SECONDS)
            notice.refresh_from_db()
    except KeyboardInterrupt:
        raise Refusal(
            "It continues without you.", subject=str(notice), todo=f"manage.py portal notify {notice.name!r}"
        ) from None
    counts = plan.counts(notice)
    steps = [f"manage.py portal notify {notice.name!r} --wait"] if notice.state in _OPEN else []
    told = {"notice": notice.name, "state": notice.state, "recipients": counts}
    out.answer(told, [f"{notice}: {notice.state}, {counts['sent']:,} of {counts['all']:,} sent."], next_steps=steps)
    if options["wait"] and notice.state != Notice.State.SENT:
        raise Refusal(f"It is {notice.state}.", subject=str(notice), todo=notice.error or "Its page shows why.")
    if wrong := counts["bounced"] + counts["failed"]:
        raise Refusal(f"{wrong:,} were not delivered.", subject=str(notice), todo="The notice's page lists them.")


def _audience(options: dict[str, Any]) -> dict[str, Any]:
    kind, _, which = options["to"].partition(":")
    kinds: dict[str, dict[str, Any]] = {
        "all": {}, "iam": {"home": "iam"}, "legacy": {"home": "legacy"}, "wave": {"wave": which},
        "tenants": {"tenants": [id for id in which.split(",") if id]},
    }  # fmt: skip
    if kind not in kinds:
        raise Refusal("It goes to all, iam, legacy, wave:NAME or tenants:ID,ID.", subject=options["to"][:60])
    return kinds[kind] | {only: options[only] for only in ("role", "passwords") if options[only]}


VERBS = {"notify": notify}
