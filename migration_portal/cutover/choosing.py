"""Which tenants the board lists, and in which order: what an operator searches and filters for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import DecimalField, F, Func, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Lower, NullIf

from flags.models import TenantHome
from migration_portal.cutover.models import Cutover
from migration_portal.runs.models import QuarantinedRow, Run

_ORDERS = {
    "name": ("words", "number", "name", "pk"),
    "moved": ("-changed_at", "pk"),
    "wave": ("wave", "words", "number", "name", "pk"),
    "largest": ("-users", "words", "number", "name", "pk"),
    "smallest": ("users", "words", "number", "name", "pk"),
}
STATES = {
    "blocked": "Blocked at the last attempt", "quarantined": "With rows in quarantine", "free": "Neither blocked nor in quarantine",
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """`q` is part of a name, id, wave, or of why the last move was blocked; empty fields choose nothing."""

    q: str = ""
    home: str = ""
    of_wave: str = ""
    state: str = ""
    order: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Choice:
        """What a query string or a form says; unknown values choose nothing."""
        said = {name: str(query.get(name, "")).strip()[:100] for name in asdict(cls())}
        known = {"home": set(TenantHome.Home.values), "state": set(STATES), "order": set(_ORDERS)}
        return cls(**{name: value if name not in known or value in known[name] else "" for name, value in said.items()})

    def __bool__(self) -> bool:
        return any((self.q, self.home, self.of_wave, self.state))

    @property
    def fields(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def query(self) -> str:
        """For a link to a page of the list."""
        return urlencode(self.fields)

    def tenants(self, run: Run | None) -> QuerySet[Any]:
        """Those that fit, sorted as people count: firm 2 comes before firm 10. `run` is whose quarantine counts."""
        moves = Cutover.objects.filter(tenant=OuterRef("pk")).order_by("-id")
        chosen = TenantHome.objects.annotate(last_state=Subquery(moves.values("state")[:1]))
        if self.q:
            chosen = chosen.annotate(last_error=Subquery(moves.values("error")[:1])).filter(
                Q(name__icontains=self.q) | Q(tenant__istartswith=self.q) | Q(legacy_tenant__istartswith=self.q)
                | Q(wave__icontains=self.q) | Q(last_error__icontains=self.q)
            )  # fmt: skip
        if self.home:
            chosen = chosen.filter(home=self.home)
        if self.of_wave:
            chosen = chosen.filter(wave=self.of_wave)
        blocked = Q(last_state=Cutover.State.BLOCKED)
        if self.state == "blocked":
            chosen = chosen.filter(blocked)
        elif self.state:
            kept = Q(tenant__in=(ids := _quarantined(run))) | Q(legacy_tenant__in=ids)
            free = ~kept & (Q(last_state=None) | ~blocked)
            chosen = chosen.filter(kept if self.state == "quarantined" else free)
        return chosen.annotate(**_AS_PEOPLE_COUNT).order_by(*_ORDERS[self.order or "name"])


def _regexp(function: str, *values: str) -> Func:
    return Func(F("name"), *map(Value, values), function=function)


_AS_PEOPLE_COUNT = {
    "words": Lower(_regexp("regexp_replace", r"\d.*$", "")),
    "number": Cast(NullIf(_regexp("substring", r"\d{1,30}"), Value("")), DecimalField(max_digits=40, decimal_places=0)),
}
"""What stands before a name's first number, and that number."""


def _quarantined(run: Run | None) -> list[str | None]:
    if run is None:
        return []
    rows = QuarantinedRow.objects.filter(run=run.key, state="open").exclude(tenant=None)
    return list(rows.order_by().values_list("tenant", flat=True).distinct())
