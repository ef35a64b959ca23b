"""One person, from a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal
from migration_portal.support.find import find
from migration_portal.support.person import end_sessions, looked_at, person
from migration_portal.support.told import as_dict

_AGAIN = "manage.py portal person ID"


def arguments(verbs: Any) -> None:
    asking = verbs.add_parser("person", help="everything about one person")
    asking.add_argument("identifier", help="id, e-mail, user name, session, or a part of a name")
    asking.add_argument("--end-sessions", action="store_true", help="sign them out everywhere")
    asking.add_argument("--reason", default="")
    asking.add_argument("--json", action="store_true")


def about(out: Terminal, by: str, options: dict[str, Any]) -> None:
    asked = options["identifier"].strip()
    found, trouble = find(asked)
    if not found:
        said = f" {' '.join(trouble)}" if trouble else ""
        raise Refusal(f"Nobody of that name on either side.{said}", subject=asked, todo="Try another identifier.")
    for line in trouble:
        out.write(f"Not read: {line}")
    called = [one for one in found if asked.lower() == one.name.lower()]
    exact = [
        one for one in found if asked.lower() in (one.id.lower(), one.email.lower(), one.user_name.lower())
    ] or called
    if len(found) > 1 and len(exact) != 1:
        lines = [f"{each.id}  {each.name}  {each.email}  {each.tenant}  {each.side}" for each in found]
        out.answer({"found": [each.__dict__ for each in found]}, lines, next_steps=["manage.py portal person ID"])
        raise Refusal(f"{len(found)} people fit.", subject=asked, todo="Ask for one of them by id.")
    made = person((exact or found)[0].id)
    looked_at(made.id, by=by)
    if options["end_sessions"]:
        if made.user is None:
            raise Refusal("They are not in the IAM.", subject=made.id, todo="End their sessions in the legacy system.")
        ended = end_sessions(made.user, by=by, reason=options["reason"])
        out.answer({"ended": ended.sessions, "everywhere": ended.here}, [ended.words], next_steps=[_AGAIN])
        return
    told = as_dict(made)
    steps = [f"manage.py portal person {made.id} --end-sessions --reason …"] if told["sessions"] else []
    if any(row["state"] == "open" for row in told["quarantine"]):
        steps.append("manage.py portal quarantine --retry|--discard")
    out.answer(told, _lines(told), next_steps=steps)


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield f"{told['name'] or told['id']}  {told['email'] or ''}"
    yield f"Lives in {told['lives_in']}; tenant {told['tenant'] or 'unknown'}."
    for each in told["fields"]:
        mark = " " if each["same"] else "≠"
        yield f"{mark} {each['name']:<24} {each['legacy']!s:<40.40} {each['iam']!s:<40.40}"
    yield f"Sessions: {len(told['sessions'])}; roles: {', '.join(told['roles']) or 'none'}."
    for row in told["quarantine"]:
        yield f"Quarantined in {row['table']}: {row['why']} ({row['state']})."
    for line in told["trouble"]:
        yield f"Not read: {line}"


VERBS = {"person": about}
