"""manage.py portal <verb>: what the console does, from a terminal. Non-zero exit for every refusal."""

from __future__ import annotations

import getpass
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from legacy_compat.standing import standings, unanswered
from migration_portal import databases
from migration_portal.audit import anchors, chain
from migration_portal.catchup import revise
from migration_portal.cutover import finalize, guard
from migration_portal.cutover.adopt import adopt
from migration_portal.inventory.requests import take_now
from migration_portal.inventory.text import as_text
from migration_portal.management.terminal import Terminal
from migration_portal.management.verbs import (
    backups,
    capabilities,
    decide,
    decommission,
    deployment,
    drafting,
    importing,
    notices,
    operate,
    retention,
    rollback,
    running,
    status,
    support,
    waves,
)
from migration_portal.refusal import Refusal
from migration_portal.runs import drift, start, uncapture
from migration_portal.runs.models import Run
from migration_portal.runs.report import Report, report
from migration_portal.runs.states import State
from migration_portal.runs.verbs import VERBS
from migration_portal.schema import apply
from migration_portal.traffic.give_up import give_up

_ROOMS = (
    importing,
    drafting,
    backups,
    operate,
    retention,
    rollback,
    capabilities,
    waves,
    decide,
    status,
    support,
    decommission,
    deployment,
    notices,
    running,
)
_VERBS = {name: do for room in _ROOMS for name, do in room.VERBS.items()}


class Command(BaseCommand):
    help = "Drive the migration from a terminal."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("preflight", help="check servers, privileges, plan and rows")
        verbs.add_parser("inventory", help="record what is in the legacy system")
        verbs.add_parser("apply_schema", help="apply the IAM schema scripts")
        back = verbs.add_parser("roll_back_schema", help="roll the IAM schema scripts back")
        back.add_argument("--reason", required=True)
        back.add_argument("--to", help="keep this script and those before it")
        begin = verbs.add_parser("start", help="start a run")
        begin.add_argument("--dry-run", action="store_true")
        begin.add_argument("--capture", action="store_true", help="record changes, for cutting tenants over")
        begin.add_argument("--wait", action="store_true", help="until it ends or needs you")
        shown = verbs.add_parser("report", help="print a run's report as JSON")
        shown.add_argument("run", type=int)
        verbs.add_parser("verify_audit", help="verify the audit chain, and against its anchors").add_argument(
            "--archives", action="store_true", help="and the files of what was archived"
        )
        verbs.add_parser("anchor_audit", help="sign the chain's head and write it where AUDIT_ANCHORS says")
        _arguments_of_moves(verbs)
        for room in _ROOMS:
            room.arguments(verbs)
        verbs.add_parser("adopt", help="take the two databases over from another portal").add_argument(
            "--reason", required=True
        )
        accepting = verbs.add_parser(
            "accept_drift", help="leave behind what legacy's schema has got since the run began"
        )
        accepting.add_argument("run", type=int)
        accepting.add_argument("--reason", required=True)
        revising = verbs.add_parser(
            "revise_plan", help="let a run go on by the plan file's reverse sections as they are now"
        )
        revising.add_argument("run", type=int)
        revising.add_argument("--reason", required=True)
        removing = verbs.add_parser("uncapture", help="stop recording a run's changes, and take our triggers away")
        removing.add_argument("run", type=int)
        removing.add_argument("--reason", required=True)
        for name in VERBS:
            verb = verbs.add_parser(name, help=f"{name} a run")
            verb.add_argument("run", type=int)
            verb.add_argument("--reason", default="")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        by = f"terminal:{getpass.getuser()}"
        terminal = Terminal(self.stdout, as_json=bool(options.get("json")))
        with _logs_in_a_file(settings.COMMAND_LOG):
            try:
                self._carry_out(verb, terminal, by, options)
            except Refusal as refusal:
                terminal.refuse(refusal)
                raise CommandError(str(refusal)) from None

    def _carry_out(self, verb: str, terminal: Terminal, by: str, options: dict[str, Any]) -> None:
        """Raises Refusal: also for a database that does not answer."""
        try:
            if verb in VERBS:
                VERBS[verb].do(_run(options["run"]), by=by, reason=options["reason"])
                self.stdout.write(f"{verb}: requested.")
            elif do := _VERBS.get(verb):
                do(terminal, by, options)
            else:
                getattr(self, verb)(by, options)
        except (DatabaseError, psycopg.Error) as error:
            raise Refusal(databases.words(error)) from None

    def preflight(self, by: str, options: dict[str, Any]) -> None:
        content = take_now("preflight", by=by).content
        for finding in content["findings"]:
            self.stdout.write(f"{finding['severity']:<8} {finding['subject']}: {finding['what']} {finding['todo']}")
        for table in content["completeness"]:
            self.stdout.write(f"{table['table']}: {table['mappable']:,} of {table['total']:,} rows can be mapped.")
        if any(finding["severity"] == "error" for finding in content["findings"]):
            raise Refusal("Pre-flight found errors.", todo="Correct them before you start a run.")

    def inventory(self, by: str, options: dict[str, Any]) -> None:
        record = take_now("inventory", by=by)
        self.stdout.write(as_text(str(record), record.content))

    def apply_schema(self, by: str, options: dict[str, Any]) -> None:
        self.stdout.write(f"Applied: {', '.join(apply.apply(by=by)) or 'nothing, all was applied already'}.")

    def roll_back_schema(self, by: str, options: dict[str, Any]) -> None:
        names = apply.roll_back(by=by, reason=options["reason"], to=options["to"])
        self.stdout.write(f"Rolled back: {', '.join(names) or 'nothing'}.")

    def start(self, by: str, options: dict[str, Any]) -> None:
        run = start.start(by=by, dry_run=options["dry_run"], capture=options["capture"])
        self.stdout.write(f"{run} has started.")
        said = ""
        while options["wait"] and run.state == State.RUNNING:
            time.sleep(0.5)
            run.refresh_from_db()
            if run.error != said and (said := run.error):
                self.stderr.write(said)
        if options["wait"]:
            result = report(run)
            self._print(run, result)
            if not result.passed:
                why = result.failures[0] if result.failures else "not everything is accounted for."
                raise Refusal(f"It is {run.state}; {why}", subject=str(run))

    def guard(self, by: str, options: dict[str, Any]) -> None:
        guard.switch(on=options["switch"] == "on", by=by, reason=options["reason"])
        self.stdout.write(f"The guard is {options['switch']}.")

    def finalize(self, by: str, options: dict[str, Any]) -> None:
        if options["tenant"]:
            finalize.finalize_tenant(options["tenant"].lower(), by=by, reason=options["reason"])
            self.stdout.write("Finalized: it cannot be reversed any more.")
            return
        self.stdout.write(f"Finalized; the ledger is archived in {finalize.finalize(by=by, reason=options['reason'])}.")

    def surface(self, by: str, options: dict[str, Any]) -> None:
        if names := options["accept"]:
            names = [each.name for each in standings() if each.open] if names == ["all"] else names
            self.stdout.write(f"Accepted: {give_up(names, by=by, reason=options['reason'])}.")
            return
        for each in standings():
            told = "accepted" if each.accepted else "OPEN" if each.open else ""
            self.stdout.write(
                f"{each.name:<62} {each.before:<7} {each.after:<7} {each.finalized:<7} {told:<9}{each.why}".rstrip()
            )
        if left := unanswered():
            raise Refusal(
                f"{len(left)} endpoints would be answered by nobody.", todo="Accept by name those that nobody needs."
            )

    def adopt(self, by: str, options: dict[str, Any]) -> None:
        self.stdout.write(f"Adopted; tenants at home in the IAM: {adopt(by=by, reason=options['reason'])}.")

    def accept_drift(self, by: str, options: dict[str, Any]) -> None:
        left = drift.accept_drift(_run(options["run"]), by=by, reason=options["reason"])
        self.stdout.write(f"Left behind: {left}.")

    def revise_plan(self, by: str, options: dict[str, Any]) -> None:
        changed = revise.revise(_run(options["run"]), by=by, reason=options["reason"])
        self.stdout.write(f"Revised: {', '.join(changed)}.")

    def uncapture(self, by: str, options: dict[str, Any]) -> None:
        run = _run(options["run"])
        uncapture.uncapture(run, by=by, reason=options["reason"])
        self.stdout.write(f"{run} records no changes any more.")

    def report(self, by: str, options: dict[str, Any]) -> None:
        run = _run(options["run"])
        self._print(run, report(run))

    def _print(self, run: Run, result: Report) -> None:
        Terminal(self.stdout, as_json=True).answer(result.as_dict(), (), next_steps=list(status.after(run)))

    def anchor_audit(self, by: str, options: dict[str, Any]) -> None:
        self.stdout.write(f"Anchored {anchors.write():,} events.")

    def verify_audit(self, by: str, options: dict[str, Any]) -> None:
        verdict = anchors.verify(files=options["archives"])
        chain.record("verify_chain", by=by, data={"count": verdict.events})
        if not verdict.intact:
            raise Refusal(str(verdict), subject="audit log")
        self.stdout.write(str(verdict))


def _arguments_of_moves(verbs: Any) -> None:
    guarding = verbs.add_parser("guard", help="refuse writes for tenants that live on the other side")
    guarding.add_argument("switch", choices=["on", "off"])
    guarding.add_argument("--reason", default="")
    ending = verbs.add_parser(
        "finalize", help="stop reverse sync, remove capture; or, of one tenant: no way back for it"
    )
    ending.add_argument("--tenant", metavar="ID")
    ending.add_argument("--reason", required=True)
    listing = verbs.add_parser("surface", help="who answers each legacy endpoint: before, after, and finalized")
    listing.add_argument("--accept", nargs="+", metavar="NAME", help="that nobody answers these any more, or: all")
    listing.add_argument("--reason", default="")


@contextmanager
def _logs_in_a_file(path: str) -> Iterator[None]:
    """A terminal is for the answers; what is logged meanwhile goes where it can be read later."""
    root = logging.getLogger()
    before = root.handlers[:]
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch(0o600)
        Path(path).chmod(0o600)  # one that an earlier version left open to others
        handler: logging.Handler = logging.FileHandler(path, delay=True)
    except OSError:
        handler = logging.NullHandler()
    for other in before:
        handler.setFormatter(other.formatter)
    root.handlers = [handler]
    try:
        yield
    finally:
        root.handlers = before
        handler.close()


def _run(pk: int) -> Run:
    run = Run.objects.filter(pk=pk).first()
    if run is None:
        raise Refusal("There is no such run.", subject=f"run {pk}", todo="See the list of runs in the console.")
    return run
