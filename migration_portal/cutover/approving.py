"""What of cutting over may want a second person: what is final, and what lets writes pass."""

from __future__ import annotations

from flags.models import TenantHome
from migration_portal.approvals.actions import Action, Arguments, Figures, register
from migration_portal.cutover import finalize, guard
from migration_portal.cutover.scope import Scope, everybody, scope_of


def _finalize(arguments: Arguments, by: str, reason: str) -> str:
    if pk := arguments["tenant"]:
        finalize.finalize_tenant(pk, by=by, reason=reason)
        return "Finalized: it cannot be reversed any more."
    archive = finalize.finalize(by=by, reason=reason)
    return f"Finalized. The ledger is archived in schema {archive}."


def _finalized(arguments: Arguments) -> Figures:
    return _figures(scope_of([arguments["tenant"]]) if arguments["tenant"] else everybody())


def _figures(scope: Scope) -> Figures:
    named = (
        ("Tenants", scope.tenants), ("Users", scope.users), ("Licences", scope.licences),
        ("Writes in the last hour", scope.writes), ("Undecided strays", scope.strays),
    )  # fmt: skip
    return [(name, "unknown" if count is None else f"{count:,}") for name, count in named]


def _guard_off(arguments: Arguments, by: str, reason: str) -> str:
    guard.switch(on=False, by=by, reason=reason)
    return "The guard is off."


def _unguarded(arguments: Arguments) -> Figures:
    legacy = TenantHome.objects.filter(home=TenantHome.Home.LEGACY).count()
    return [("Tenants in legacy, whose writes the IAM would take", f"{legacy:,}"), *(
        (f"{name}, in the IAM" if name == "Tenants" else name, value) for name, value in _figures(everybody())
    )]  # fmt: skip


FINALIZE = register(Action("finalize", "Finalizing", "cutover.finalize_tenant", _finalize, _finalized, {"tenant": str}))
GUARD_OFF = register(Action("guard_off", "Switching the guard off", "cutover.guard_tenant", _guard_off, _unguarded))
