"""Editing capabilities: of the system, of tenants, one or many. In force with the next call to the IAM."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.db import connections, transaction
from django.utils import timezone

from flags import homes
from flags.models import TenantHome
from iam import totp
from iam.capabilities import fault
from iam.models import SystemCapability, Tenant, TenantCapability, User
from migration_portal.audit import chain
from migration_portal.capabilities import derive
from migration_portal.refusal import Refusal, require_reason

_SET = (
    "INSERT INTO tenant_capabilities AS t (tenant_id, capability_key, enabled, value, configured_at, decided_by)"
    " SELECT unnest(%(tenants)s::uuid[]), %(key)s, %(enabled)s, %(value)s::jsonb, now(), %(by)s"
    " ON CONFLICT (tenant_id, capability_key) DO UPDATE SET enabled = excluded.enabled,"
    " value = CASE WHEN %(keep)s THEN t.value ELSE excluded.value END, configured_at = now(), decided_by = excluded.decided_by"
)
_NAMED = 200
"""So many tenants each have an event of their own; of more, the event names the first."""


def edit_system(key: str, *, enabled: bool, value: str, by: str, reason: str) -> None:
    """What the system offers, and its default value (the text of a JSON object). Raises Refusal."""
    require_reason(reason, to="Changing a capability", subject=key)
    found = SystemCapability.objects.filter(pk=key).first()
    if found is None:
        raise Refusal("The IAM knows no such capability.", subject=key, todo="Apply the IAM schema.")
    parsed = _parsed(key, value) or {}
    with transaction.atomic(), transaction.atomic(using="iam"):
        chain.record(
            "change_capability", object_type="capability", object_id=key, by=by, reason=reason,
            data={"state": _state(enabled, parsed), "from": _state(found.enabled, found.default_value)},
        )  # fmt: skip
        found.enabled, found.default_value, found.updated_at = enabled, parsed, timezone.now()
        found.save(update_fields=["enabled", "default_value", "updated_at"])
    derive.follow()


def edit_tenants(tenants: Sequence[str], key: str, *, enabled: bool, value: str | None, by: str, reason: str) -> int:
    """What these tenants (ids in the IAM) may use, and their own value; an empty one is the system's, None what they have.
    Returns how many. Raises Refusal.
    """
    require_reason(reason, to="Changing a capability", subject=key)
    if not SystemCapability.objects.filter(pk=key).exists():
        raise Refusal("The IAM knows no such capability.", subject=key, todo="Apply the IAM schema.")
    parsed = _parsed(key, value or "") or None
    chosen = [str(tenant.pk) for tenant in known(tenants)]
    if not chosen:
        raise Refusal("None of these tenants is in the IAM.", subject=key, todo="Select tenants that were copied.")
    with chain.recorded_last(), transaction.atomic(using="iam"):
        state = _state(enabled, parsed) if value is not None else "on" if enabled else "off"
        about: dict[str, Any] = {"key": [key], "state": state}
        if len(chosen) > _NAMED:
            chain.record(
                "change_tenant_capability", object_type="tenants", by=by, reason=reason,
                data=about | {"count": len(chosen), "key": [key, *chosen[:_NAMED]]},
            )  # fmt: skip
        else:
            before = _before(chosen, key)
            for tenant in chosen:
                chain.record(
                    "change_tenant_capability", object_type="tenants", object_id=tenant, by=by, reason=reason,
                    data=about | ({"from": before[tenant]} if tenant in before else {}),
                )  # fmt: skip
        with connections["iam"].cursor() as cursor:
            cursor.execute(_SET, {
                "tenants": chosen, "key": key, "enabled": enabled, "by": by, "keep": value is None,
                "value": json.dumps(parsed) if parsed is not None else None,
            })  # fmt: skip
    derive.follow(chosen)
    return len(chosen)


def _before(tenants: Sequence[str], key: str) -> dict[str, str]:
    rows = TenantCapability.objects.filter(tenant_id__in=tenants, capability_key=key)
    return {str(row.tenant_id): _state(row.enabled, row.value) for row in rows}


def end_enrolment(user: User, *, by: str, reason: str) -> None:
    """The user has to enrol anew. Raises Refusal, also without a reason."""
    require_reason(reason, to="Ending an enrolment", subject=str(user))
    if homes.of(str(user.tenant_id)).home != TenantHome.Home.IAM:
        raise Refusal(
            "Its tenant lives in legacy, which owns its enrolment.",
            subject=str(user),
            todo="Do it in the legacy system.",
        )
    with transaction.atomic(), transaction.atomic(using="iam"):
        chain.record(
            "end_enrolment", object_type="user", object_id=str(user.pk), by=by, reason=reason,
            data={"tenant": str(user.tenant_id)},
        )  # fmt: skip
        totp.forget(user)


def _parsed(key: str, text: str) -> dict[str, Any] | None:
    """The JSON object that was typed; None for nothing. Raises Refusal."""
    if not text.strip():
        return None
    try:
        found = json.loads(text)
        json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):
        raise Refusal("This is no JSON.", subject=key, todo='Write an object, such as {"value": "15m"}.') from None
    if not isinstance(found, dict) or "\\u0000" in json.dumps(found):
        raise Refusal("A value is a JSON object.", subject=key, todo='Write it as {"value": …}.')
    if found and (wrong := fault(key, found)):
        raise Refusal(wrong, subject=key, todo="Nothing has changed.")
    return found


def known(tenants: Sequence[str]) -> list[Tenant]:
    """Those of the ids that are tenants of the IAM; what is no id is left out."""
    ids = []
    for tenant in tenants:
        with suppress(ValueError):
            ids.append(uuid.UUID(tenant))
    return list(Tenant.objects.filter(pk__in=ids).only("pk"))


def _state(enabled: bool, value: Any) -> str:
    """For the record: no secret is kept in a capability's value."""
    shown = "" if value in (None, {}) else f" {json.dumps(value, sort_keys=True)}"
    return f"{'on' if enabled else 'off'}{shown}"[:500]
