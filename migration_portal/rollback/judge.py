"""Judging: measure, evaluate, keep the verdict, raise the alert, and act where that is allowed."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from flags.models import TenantHome
from migration_portal.audit import chain
from migration_portal.cutover.models import Cutover
from migration_portal.features import schedule
from migration_portal.monitoring import alerts
from migration_portal.monitoring.alerts import ROLL_BACK, Condition
from migration_portal.refusal import Refusal, require_reason
from migration_portal.rollback import execute
from migration_portal.rollback.matrix import DEFAULTS, Action, Measured, Rule, Verdict, evaluate
from migration_portal.rollback.measure import measure
from migration_portal.rollback.models import Hold, Judgement, Matrix, RollBack
from migration_portal.rollback.moving import running_ramps
from migration_portal.rollback.plans import Kind

log = structlog.get_logger(__name__)
BY = "decision matrix"
_KEPT_EVERY = timedelta(hours=1)
_BY_ITSELF = {str(Action.GRADUAL): Kind.GRADUAL, str(Action.IMMEDIATE): Kind.IMMEDIATE}
_LONGEST_HOLD = 72
_SILENCE, _MANY = "silence:", 100
_RECOVERY = timedelta(minutes=10)
"""After acting: what was reversed needs a moment until the figures show it."""


def in_force() -> Matrix:
    """The youngest version; the first is what the two documents say."""
    return Matrix.objects.first() or Matrix.objects.create(
        by="system", reason="As the source documents say.", rows=[rule.as_dict() for rule in DEFAULTS]
    )


def judge() -> Judgement | None:
    """The verdict as of now; None while the IAM answers nobody, for then there is nothing to roll back."""
    answered = Q(home=TenantHome.Home.IAM) | Q(reads_since__isnull=False)
    if not TenantHome.objects.filter(answered).exists():
        alerts.tell(execute.conditions(), of=ROLL_BACK)
        alerts.tell([], of=_SILENCE)
        return None
    matrix, measured = in_force(), measure()
    verdict = evaluate(matrix.rules, measured)
    made = Judgement(
        matrix=matrix, measured=measured.as_dict(), known=verdict.known, severity=verdict.severity,
        action=verdict.action, reasons=list(verdict.reasons),
    )  # fmt: skip
    alerts.tell([*_conditions(verdict), *execute.conditions()], of=ROLL_BACK)
    alerts.tell(_silence(measured), of=_SILENCE)
    last = Judgement.objects.first()
    made.acted = _act(made)
    if last is None or _said(last) != _said(made) or timezone.now() - last.at > _KEPT_EVERY:
        made.save()
    return made


def _said(judgement: Judgement) -> tuple[str, str, bool, str]:
    return judgement.severity, judgement.action, judgement.known, judgement.acted


def _conditions(verdict: Verdict) -> list[Condition]:
    if verdict.action == Action.NONE:
        return []
    severity = "critical" if verdict.severity in ("critical", "high") else "warning"
    text = f"The decision matrix asks for a roll-back ({verdict.action}): {'; '.join(verdict.reasons)}."
    todo = "See Roll-back. No tenant is cut over meanwhile. If rows were corrected since the run was verified, verify it again."
    return [Condition(f"{ROLL_BACK}{verdict.action}", severity, text, todo)]


def _silence(measured: Measured) -> list[Condition]:
    """Nobody asks any more, where lately many did: that is no data, and no good sign either."""
    lately = [requests for requests, _ in measured.windows[5]]
    settled = TenantHome.objects.filter(home=TenantHome.Home.IAM, changed_at__lt=timezone.now() - _RECOVERY)
    if lately[0] or sum(lately[1:]) < _MANY or not settled.exists():
        return []
    what = "For five minutes the IAM has answered no request, where before it answered many."
    return [Condition(f"{_SILENCE}iam", "warning", what, "Check that clients reach the portal.")]


def _act(made: Judgement) -> str:
    """What was begun, in words; what would have been in shadow mode. Restoring and the like are a person's decision."""
    kind = _BY_ITSELF.get(made.action)
    if kind is None or _acted_lately() or RollBack.objects.under_way().filter(rehearsal=False).exists():
        return ""
    wave = _last_wave() if kind == Kind.IMMEDIATE else []
    plan = [f"stop the ramp of {ramp.flag.name}" for ramp in running_ramps()]
    plan += [f"cancel the scheduled change of {change.flag.name}" for change in schedule.widening()]
    if wave:
        plan.append(f"reverse {len(wave)} tenants of the wave {wave[0].wave or '(without a name)'}")
    if not plan:
        return ""
    if settings.ROLLBACK_MODE != "act":
        return f"Would {', '.join(plan)}."
    if held := Hold.current():
        return f"{held}: would {', '.join(plan)}."
    try:
        made.save()
        begun = execute.start(
            kind if wave else Kind.GRADUAL, by=BY, reason="; ".join(made.reasons), judgement=made,
            wave=wave[0].wave if wave else "",
        )  # fmt: skip
    except Refusal as refusal:  # somebody was faster
        log.warning("roll_back_refused", why=str(refusal))
        return ""
    return f"{begun}: {', '.join(plan)}."


def hold(*, hours: int, by: str, reason: str) -> Hold:
    """Start nothing by itself for so many hours; 0 ends a hold. It goes on judging, and alerting. Raises Refusal."""
    require_reason(reason, to="Holding the matrix")
    if not 0 <= hours <= _LONGEST_HOLD:
        raise Refusal(f"{hours} h is too long.", subject="decision matrix", todo=f"Use {_LONGEST_HOLD} at most.")
    with transaction.atomic():
        made = Hold.objects.create(until=timezone.now() + timedelta(hours=hours), by=by, reason=reason)
        chain.record("hold_matrix", of=made, by=by, reason=reason, data={"until": made.until.isoformat()})
    return made


def _acted_lately() -> bool:
    lately = timezone.now() - _RECOVERY
    return RollBack.objects.filter(requested_at__gt=lately, requested_by=BY).exists()


def _last_wave() -> list[TenantHome]:
    """The tenants that were cut over last together and still live in the IAM, and are not under way already."""
    busy = Cutover.objects.under_way().values_list("tenant", flat=True)
    moved = TenantHome.objects.filter(home=TenantHome.Home.IAM, final=False).exclude(pk__in=list(busy))
    last = moved.order_by(F("changed_at").desc(nulls_last=True)).first()
    return list(moved.filter(wave=last.wave)) if last else []


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
