"""One person, from a terminal."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import OutputWrapper

from migration_portal.refusal import Refusal
from migration_portal.support.find import find
from migration_portal.support.person import end_sessions, looked_at, person
from migration_portal.support.told import as_dict


def arguments(verbs: Any) -> None:
    asking = verbs.add_parser("person", help="everything about one person")
    asking.add_argument("identifier", help="id, e-mail, user name, session, or a part of a name")
    asking.add_argument("--end-sessions", action="store_true", help="sign them out everywhere")
    asking.add_argument("--reason", default="")
    asking.add_argument("--json", action="store_true")


def about(out: OutputWrapper, by: str, options: dict[str, Any]) -> None:
    found = find(options["identifier"])
    if not found:
        raise Refusal(
            "Nobody of that name on either side.", subject=options["identifier"], todo="Try another identifier."
        )
    exact = [each for each in found if options["identifier"].lower() in (each.id.lower(), each.email.lower())]
    if len(found) > 1 and len(exact) != 1:
        if options["json"]:
            out.write(
                json.dumps(
                    {"found": [each.__dict__ for each in found], "next_steps": ["manage.py portal person ID"]}, indent=2
                )
            )
        else:
            for each in found:
                out.write(f"{each.id}  {each.name}  {each.email}  {each.tenant}  {each.side}")
        raise Refusal(f"{len(found)} people fit.", subject=options["identifier"], todo="Ask for one of them by id.")
    made = person((exact or found)[0].id)
    looked_at(made.id, by=by)
    if options["end_sessions"]:
        if made.user is None:
            raise Refusal("They are not in the IAM.", subject=made.id, todo="End their sessions in the legacy system.")
        out.write(f"Signed out everywhere; sessions ended: {end_sessions(made.user, by=by, reason=options['reason'])}.")
        return
    told = as_dict(made)
    if options["json"]:
        out.write(json.dumps(told, indent=2, default=str))
        return
    out.write(
        f"{told['name'] or told['id']}  {told['email'] or ''}\nLives in {told['lives_in']}; tenant {told['tenant'] or 'unknown'}."
    )
    for each in told["fields"]:
        mark = " " if each["same"] else "≠"
        out.write(f"{mark} {each['name']:<24} {each['legacy']!s:<40.40} {each['iam']!s:<40.40}")
    out.write(f"Sessions: {len(told['sessions'])}; roles: {', '.join(told['roles']) or 'none'}.")
    for row in told["quarantine"]:
        out.write(f"Quarantined in {row['table']}: {row['why']} ({row['state']}).")
    for line in told["trouble"]:
        out.write(f"Not read: {line}")


VERBS = {"person": about}
