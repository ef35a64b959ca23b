"""How strict the legacy endpoints are about what a tenant asks of its users: they can ask for a password and nothing more.

LEGACY_POLICY: "refuse" says why, "documented" answers as to a wrong password, "contract" lets in as the legacy system does.
"""

from __future__ import annotations

from django.conf import settings

from iam import policy
from iam.bearers import Bearer
from iam.models import User
from iam.sign_in import CodeNeeded, CodesOff, PasswordDue, Refused, TenantOff
from legacy_compat.contracts.shapes import Answer


def strict() -> bool:
    """Whether the policy of the tenant is obeyed here, too."""
    return bool(settings.LEGACY_POLICY != "contract")


def rules_of(user: User) -> policy.Policy:
    """For a new password."""
    return policy.of(user.tenant_id) if strict() else policy.basic()


def refusal(kind: type[Refused]) -> Answer:
    """In the profile's shape. The legacy system never asked: these are words of ours."""
    detail = _REFUSALS[kind]
    if kind is CodeNeeded:  # and codes can be enrolled for
        detail = (
            f"{detail}: enrol at {settings.ISSUER}/oauth/second-factor, then add the code to the end of the password"
        )
    return Answer(403, {"detail": detail})


_REFUSALS: dict[type[Refused], str] = {
    TenantOff: "The tenant is inactive",
    CodeNeeded: "The tenant requires multi-factor authentication",
    CodesOff: "The tenant requires multi-factor authentication, which is switched off: ask its administrators",
    PasswordDue: "The password must be changed",
}


def objection(bearer: Bearer) -> type[Refused] | None:
    """What the tenant's policy has against what this token was won with, at these doors."""
    user = bearer.user
    if not strict():
        return None
    if not user.tenant_is_active:
        return TenantOff
    if user.tenant_wants_codes and not bearer.strong:
        return CodeNeeded if policy.of(user.tenant_id).capabilities.codes else CodesOff
    return PasswordDue if policy.password_due(user) else None


def may_go_on(bearer: Bearer) -> None:
    """Raises Refused."""
    if why := objection(bearer):
        raise why
