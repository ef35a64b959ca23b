"""Backups from a terminal: done in this process, unless a worker was faster."""

from __future__ import annotations

from typing import Any

from migration_portal.backups import adopt, back_up, check, reconcile, restore, swap
from migration_portal.backups.models import Backup, Restoration, Side, Written
from migration_portal.backups.work import Work
from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal


def arguments(verbs: Any) -> None:
    making = verbs.add_parser("backup", help="back up a side: dump, files, settings, users; or list its backups")
    making.add_argument("side", choices=Side.values)
    making.add_argument("--reason", default="")
    making.add_argument("--list", action="store_true", help="what there is, instead of making one")
    making.add_argument(
        "--adopt", action="store_true", help="record those in the store that are not on record, instead"
    )
    checking = verbs.add_parser("verify_backup", help="verify a backup up to a level; only 3 makes it validated")
    checking.add_argument("backup", type=int)
    checking.add_argument("--level", type=int, choices=sorted(check.LEVELS), default=Backup.VALIDATED)
    restoring = verbs.add_parser("restore", help="restore a backup into a new database, and compare it")
    restoring.add_argument("backup", type=int)
    restoring.add_argument("--into", required=True, metavar="NAME")
    restoring.add_argument("--reason", required=True)
    swapping = verbs.add_parser("swap", help="put a restored database in the place of its side's")
    swapping.add_argument("restoration", type=int)
    swapping.add_argument("--reason", required=True)
    deciding = verbs.add_parser("reconcile", help="list what was written since a swapped backup, take it or leave it")
    deciding.add_argument("restoration", type=int)
    deciding.add_argument("--take", nargs="+", metavar="TENANT", help="ids, - for rows of nobody, or: all")
    deciding.add_argument("--leave", nargs="+", metavar="TENANT", help="the same")
    deciding.add_argument("--removals", action="store_true", help="delete again what was deleted since")
    deciding.add_argument("--reason", default="")
    for parser in (making, checking, restoring, swapping, deciding):
        parser.add_argument("--json", action="store_true")


def backup(out: Terminal, by: str, options: dict[str, Any]) -> None:
    if options["adopt"]:
        found = adopt.adopt_backups(by=by)
        about = {"recorded": [_about(one) for one in found]}
        out.answer(about, [f"Recorded: {len(found)}."], next_steps=["manage.py portal verify_backup BACKUP"])
        return
    if options["list"]:
        there = [_about(one) for one in Backup.objects.filter(side=options["side"])]
        lines = [f"{one['id']:>6}  {one['state']:<9} level {one['level']}  {one['taken_at']}" for one in there]
        step = "manage.py portal verify_backup BACKUP" if there else f"manage.py portal backup {options['side']}"
        out.answer({"backups": there}, lines or ["None."], next_steps=[step])
        return
    made = back_up.request(options["side"], by=by, reason=options["reason"])
    back_up.perform(made)
    _well(made)
    step = f"manage.py portal verify_backup {made.pk}"
    text = f"{made}: {made.bytes:,} bytes in {made.seconds} s. It is validated by: {step}"
    out.answer(_about(made), [text], next_steps=[step])


def verify_backup(out: Terminal, by: str, options: dict[str, Any]) -> None:
    found = check.request(_backup(options["backup"]), options["level"], by=by)
    check.perform(found)
    _well(found)
    about = {"backup": found.backup.pk, "level": found.level, "reached": found.reached, "finding": found.finding}
    step = f"manage.py portal {'backup ' + found.backup.side if found.finding else f'restore {found.backup.pk} --into NAME'}"
    out.answer(about, [f"{found.backup}: level {found.reached} holds."], next_steps=[step])
    if found.finding:
        raise Refusal(f"{found.finding}.", subject=str(found.backup), todo="Do not rely on it: back up again.")


def restored(out: Terminal, by: str, options: dict[str, Any]) -> None:
    made = restore.request(_backup(options["backup"]), into=options["into"], by=by, reason=options["reason"])
    restore.perform(made)
    _well(made)
    about = {"restoration": made.pk, "into": made.into, "finding": made.finding}
    step = f"manage.py portal swap {made.pk}"
    if made.finding:
        out.answer(about, [f"It is in {made.into}, and differs."], next_steps=["Restore another backup."])
        raise Refusal(
            f"{made.finding}.", subject=str(made), todo="It is not put in a side's place. Restore another backup."
        )
    out.answer(about, [f"{made} is in {made.into}. It takes its side's place by: {step}"], next_steps=[step])


def swapped(out: Terminal, by: str, options: dict[str, Any]) -> None:
    kept = swap.swap(_restoration(options["restoration"]), by=by, reason=options["reason"])
    step = f"manage.py portal reconcile {options['restoration']}"
    out.answer({"kept_as": kept}, [f"In place; the database before it is called {kept}."], next_steps=[step])


def reconciled(out: Terminal, by: str, options: dict[str, Any]) -> None:
    made, reason = _restoration(options["restoration"]), options["reason"]
    if options["leave"]:
        left = reconcile.leave(made, _tenants(made, options["leave"]), by=by, reason=reason)
        out.answer({"left": left}, [f"Left: {left} tables."], next_steps=["manage.py portal status"])
        return
    if options["take"]:
        tenants = _tenants(made, options["take"])
        asked = reconcile.take(made, tenants, removals=options["removals"], by=by, reason=reason)
    else:
        asked = reconcile.list_since(made, by=by)
    reconcile.perform(asked)
    _well(asked)
    rows = list(
        Written.objects.filter(restoration=made).values("tenant", "table", "added", "changed", "removed", "decision")
    )
    lines = [
        f"{row['tenant'] or '-':<38} {row['table']:<30} +{row['added']} ~{row['changed']} -{row['removed']}  {row['decision']}"
        for row in rows
    ]
    done = [f"Brought back: {asked.rows:,} rows."] if options["take"] else []
    undecided = any(not row["decision"] for row in rows)
    step = f"manage.py portal reconcile {made.pk} --take|--leave all" if undecided else "manage.py portal status"
    out.answer(
        {"rows": asked.rows, "written": rows},
        done + (lines or ["Nothing was written since the backup."]),
        next_steps=[step],
    )


VERBS = {
    "backup": backup, "verify_backup": verify_backup, "restore": restored, "swap": swapped, "reconcile": reconciled,
}  # fmt: skip


def _well(work: Work) -> None:
    """Raises Refusal unless it has ended well: its error, or that a worker is at it."""
    work.refresh_from_db()
    if work.error:
        raise Refusal(work.error, subject=str(work))
    if work.finished_at is None:
        raise Refusal("A worker was faster and is at it.", subject=str(work), todo="The console shows how far it is.")


def _about(one: Backup) -> dict[str, Any]:
    return {
        "id": one.pk, "side": one.side, "state": one.state, "level": one.level, "taken_at": one.taken_at,
        "bytes": one.bytes, "seconds": one.seconds, "place": one.place, "error": one.error,
    }  # fmt: skip


def _backup(pk: int) -> Backup:
    found: Backup | None = Backup.objects.filter(pk=pk).first()
    if found is None:
        raise Refusal("There is no such backup.", subject=f"backup {pk}", todo="manage.py portal backup SIDE --list")
    return found


def _restoration(pk: int) -> Restoration:
    found: Restoration | None = Restoration.objects.select_related("backup").filter(pk=pk).first()
    if found is None:
        raise Refusal("There is no such restoration.", subject=f"restoration {pk}", todo="See Backups in the console.")
    return found


def _tenants(made: Restoration, wanted: list[str]) -> list[str]:
    if wanted == ["all"]:
        open_ones = Written.objects.filter(restoration=made, decision=Written.Decision.OPEN)
        return sorted(set(open_ones.values_list("tenant", flat=True)))
    return ["" if tenant == "-" else tenant for tenant in wanted]
