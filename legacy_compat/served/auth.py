"""Signing in and out, and one's own password."""

from __future__ import annotations

from django.conf import settings

from flags import homes
from flags.models import TenantHome
from iam import bearers, policy, throttles, tokens
from iam.models import User
from iam.sign_in import Asked, Refused, WrongCredentials, sign_in
from legacy_compat import strictness
from legacy_compat.call import LegacyCall
from legacy_compat.contracts.protocol import Contract, Credentials
from legacy_compat.contracts.shapes import TOO_MANY, Answer
from legacy_compat.served import asked
from legacy_compat.served.access import Endpoint


class LivesInLegacy(Exception):
    """The user that a login without a tenant turned out to mean: legacy answers."""


def login(call: LegacyCall, contract: Contract) -> Answer:
    if not isinstance(call.credentials, Credentials):
        return call.credentials or contract.NOT_FOUND
    name, password, tenant = call.credentials.name, call.credentials.password, call.credentials.tenant
    wanted = Asked(name, password, tenant, ip=call.ip, code=call.text("code"))
    try:
        found = sign_in(wanted, strict=strictness.strict(), admit=_at_home)
    except WrongCredentials:
        return contract.WRONG
    except Refused as refused:
        return contract.WRONG if settings.LEGACY_POLICY == "documented" else strictness.refusal(type(refused))
    try:
        pair = tokens.issue(found.user, ip=call.ip, agent=call.agent, amr=found.amr, capped=strictness.strict())
        return contract.tokens(pair, found.user)
    except bearers.BadToken:  # the password has changed meanwhile
        return contract.WRONG


def _at_home(user: User) -> None:
    if homes.serving(str(user.tenant_id), write=True) != TenantHome.Home.IAM:
        raise LivesInLegacy


def refresh(call: LegacyCall, contract: Contract) -> Answer:
    token = call.text("refresh_token")
    if token is None:
        return contract.missing("refresh_token")
    try:
        _, pair = tokens.refresh(
            token, ip=call.ip, agent=call.agent, admit=strictness.may_go_on, capped=strictness.strict()
        )
    except tokens.Inactive:
        return contract.INACTIVE
    except (bearers.BadToken, Refused):
        return contract.BAD_REFRESH
    return contract.tokens(pair, None)


def me(call: LegacyCall, contract: Contract, user: User) -> Answer:
    return Answer(200, contract.user(user))


def logout(call: LegacyCall, contract: Contract, user: User) -> Answer:
    tokens.revoke(call.token)
    return contract.LOGGED_OUT


def change_password(call: LegacyCall, contract: Contract, user: User) -> Answer:
    current, new = call.text("current_password"), call.text("new_password")
    if current is None or new is None:
        given = {"current_password": current, "new_password": new}
        return contract.missing(*(name for name, value in given.items() if value is None))
    if throttles.too_many_guesses(str(user.pk)):
        return TOO_MANY
    if not user.has_password(current):
        throttles.guessed(str(user.pk))
        return contract.WRONG_CURRENT
    if weakness := strictness.rules_of(user).weakness(new, user):
        return Answer(400, {"detail": weakness})
    policy.set_password(user, new)
    with tokens.keeping(call.token):
        user.save(update_fields=User.PASSWORD_FIELDS)
    return contract.CHANGED


RESET_SENT = Answer(200, {"message": "If the email exists, a password reset link has been sent"})
VERIFICATION_SENT = Answer(200, {"message": "If the email exists, a verification link has been sent"})
BAD_RESET = Answer(400, {"detail": "Invalid reset token"})
BAD_VERIFICATION = Answer(400, {"detail": "Invalid verification token"})


def always(answer: Answer) -> Endpoint:
    """Whatever is asked, this is the answer: the released service sends no mail, and neither do we."""
    return lambda call, contract: asked.broken(call) or answer
