"""Judging: measure, evaluate, keep the verdict, raise the alert, and act where that is allowed."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from flags.models import Ramp, TenantHome
from migration_portal.audit import chain
from migration_portal.cutover import requests
from migration_portal.cutover.models import Cutover
from migration_portal.features.ramp import stop_ramp
from migration_portal.monitoring import alerts
from migration_portal.monitoring.alerts import ROLL_BACK, Condition
from migration_portal.refusal import Refusal, require_reason
from migration_portal.rollback.matrix import DEFAULTS, Action, Measured, Rule, Verdict, evaluate
from migration_portal.rollback.measure import measure
from migration_portal.rollback.models import Judgement, Matrix

log = structlog.get_logger(__name__)
BY = "decision matrix"
_KEPT_EVERY = timedelta(hours=1)
_SILENCE, _MANY = "silence:", 100
_RECOVERY = timedelta(minutes=10)
"""After acting: what was reversed needs a moment until the figures show it."""


def in_force() -> Matrix:
    """The youngest version; the first is what the two documents say."""
    return Matrix.objects.first() or Matrix.objects.create(
        by="system", reason="As the source documents say.", rows=[rule.as_dict() for rule in DEFAULTS]
    )


def judge() -> Judgement | None:
    """The verdict as of now; None while nobody lives in the IAM, for then there is nothing to roll back."""
    if not TenantHome.objects.filter(home=TenantHome.Home.IAM).exists():
        alerts.tell([], of=ROLL_BACK)
        return None
    matrix, measured = in_force(), measure()
    verdict = evaluate(matrix.rules, measured)
    made = Judgement(
        matrix=matrix, measured=measured.as_dict(), known=verdict.known, severity=verdict.severity,
        action=verdict.action, reasons=list(verdict.reasons),
    )  # fmt: skip
    alerts.tell(_conditions(verdict), of=ROLL_BACK)
    alerts.tell(_silence(measured), of=_SILENCE)
    made.acted = _act(verdict)
    last = Judgement.objects.first()
    same = last is not None and (last.severity, last.action, last.known) == (made.severity, made.action, made.known)
    if not same or made.acted or (last and timezone.now() - last.at > _KEPT_EVERY):
        made.save()
    return made


def _conditions(verdict: Verdict) -> list[Condition]:
    if verdict.action == Action.NONE:
        return []
    severity = "critical" if verdict.severity in ("critical", "high") else "warning"
    text = f"The decision matrix asks for a roll-back ({verdict.action}): {'; '.join(verdict.reasons)}."
    return [
        Condition(f"{ROLL_BACK}{verdict.action}", severity, text, "See Roll-back. No tenant is cut over meanwhile.")
    ]


def _silence(measured: Measured) -> list[Condition]:
    """Nobody asks any more, where lately many did: that is no data, and no good sign either."""
    lately = [requests for requests, _ in measured.windows[5]]
    if lately[0] or sum(lately[1:]) < _MANY:
        return []
    what = "For five minutes the IAM has answered no request, where before it answered many."
    return [Condition(f"{_SILENCE}iam", "warning", what, "Check that clients reach the portal.")]


def _act(verdict: Verdict) -> str:
    """What was done, in words; what would have been done in shadow mode. Restoring and the like are a person's decision."""
    if verdict.action not in (Action.GRADUAL, Action.IMMEDIATE) or _acted_lately():
        return ""
    wave = _last_wave() if verdict.action == Action.IMMEDIATE else []
    ramps = list(Ramp.objects.filter(state=Ramp.State.RUNNING).select_related("flag"))
    plan = [f"stop the ramp of {ramp.flag.name}" for ramp in ramps]
    if wave:
        plan.append(f"reverse {len(wave)} tenants of the wave {wave[0].wave or '(without a name)'}")
    if not plan:
        return ""
    if settings.ROLLBACK_MODE != "act":
        return f"Would {', '.join(plan)}."
    reason = "; ".join(verdict.reasons)
    try:
        with transaction.atomic():
            for ramp in ramps:
                stop_ramp(ramp.flag, by=BY, reason=reason)
            if wave:
                requests.reverse(wave, by=BY, reason=reason, wave=wave[0].wave)
            chain.record("roll_back", object_type="wave", object_id=wave[0].wave if wave else "", by=BY, reason=reason)
    except Refusal as refusal:  # somebody was faster: a move or a ramp is no longer what it was
        log.warning("roll_back_refused", why=str(refusal))
        return ""
    return f"Did {', '.join(plan)}."


def _acted_lately() -> bool:
    return Judgement.objects.filter(at__gt=timezone.now() - _RECOVERY).exclude(acted="").exists()


def _last_wave() -> list[TenantHome]:
    """The tenants that were cut over last together and still live in the IAM, and are not under way already."""
    last = Cutover.objects.filter(home=TenantHome.Home.IAM, state="done").order_by("-id").first()
    if last is None:
        return []
    busy = Cutover.objects.under_way().values_list("tenant", flat=True)
    moved = TenantHome.objects.filter(home=TenantHome.Home.IAM, final=False).exclude(pk__in=list(busy))
    return list(moved.filter(wave=last.wave))


def change_rules(rows: list[dict[str, object]], *, by: str, reason: str) -> Matrix:
    """A new version. Raises Refusal for what is no rule, and without a reason."""
    require_reason(reason, to="Changing the matrix")
    try:
        rules = [Rule(**row) for row in rows]  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise Refusal(f"{error}.", subject="decision matrix", todo="Nothing has changed.") from error
    if not rules:
        raise Refusal("It has no rule.", subject="decision matrix", todo="Nothing has changed.")
    with transaction.atomic():
        made = Matrix.objects.create(by=by, reason=reason, rows=[rule.as_dict() for rule in rules])
        chain.record("change_rules", of=made, by=by, reason=reason, data={"count": len(rules)})
    return made
