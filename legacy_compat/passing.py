"""What may be passed on to legacy, which knows less than the IAM: as whom, about whom, and counted as whose."""

from __future__ import annotations

import hashlib
import uuid

from django.conf import settings

from iam import bearers, throttles
from iam.models import Subscription, User
from legacy_compat.call import SIGN_INS, LegacyCall
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.released import NO_SUBSCRIPTION
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import asked
from legacy_compat.served.access import authorized

_FOR_SUPERUSERS = "licenses/master-keys"
UNREADABLE = Answer(415, {"detail": "Unsupported Media Type"})


def refusal(call: LegacyCall, contract: Contract) -> Answer | None:
    """Why a request of a moved tenant's user is not passed on; None where it may be."""
    if not call.token:
        return None
    user = authorized(call, contract)
    if isinstance(user, Answer):
        return user
    if _may_be_taken_for_more(user) or (call.path.startswith(_FOR_SUPERUSERS) and not user.is_superuser):
        return contract.FORBIDDEN
    return _of_another_tenant(call, user, contract)


def _may_be_taken_for_more(user: User) -> bool:
    """Legacy goes by the name alone, and takes the first of it in any tenant."""
    return not user.is_superuser and User.objects.filter(username=user.username, is_superuser=True).exists()


def _of_another_tenant(call: LegacyCall, user: User, contract: Contract) -> Answer | None:
    """Legacy lets anybody change what is anybody's; here everybody acts in their own tenant."""
    kind, _, rest = call.path.partition("/")
    key = rest.partition("/")[0]
    if kind == "tenants" and key:
        return None if key.lower() == str(user.tenant_id) else contract.NO_TENANT
    if kind != "subscriptions":
        return None
    if key and _tenant_of(key) not in ("", str(user.tenant_id)):
        return NO_SUBSCRIPTION
    if call.method not in ("POST", "PUT", "PATCH"):
        return None
    sent = asked.document(call)  # what we cannot read, legacy might
    if not isinstance(sent, dict):
        return sent if isinstance(sent, Answer) else UNREADABLE
    named = {str(sent["tenant_id"]).lower()} if "tenant_id" in sent else set()
    named |= {call.query["tenant_id"].lower()} if "tenant_id" in call.query else set()
    return None if named <= {str(user.tenant_id)} else contract.NO_TENANT


def _tenant_of(subscription: str) -> str:
    """Empty where the IAM does not know it."""
    try:
        found = Subscription.objects.filter(pk=uuid.UUID(subscription)).values_list("tenant_id", flat=True).first()
    except ValueError:
        return ""
    return str(found or "")


def unreadable(call: LegacyCall) -> bool:
    """Whether its token has the form of legacy's tokens, and we cannot read it. Legacy's library may be laxer than ours: it might
    take it for one that has ended, or of a tenant that has moved. Without legacy's secret nobody can tell.
    """
    knows = settings.LEGACY_JWT_SECRET != settings.SECRET_KEY
    asks = call.path not in SIGN_INS
    return asks and knows and call.token.count(".") == 2 and not bearers.readable(call.token)


def client(call: LegacyCall) -> str:
    """A bearer for who signs in without one: the released service counts calls by it, else by the address: ours for all."""
    if settings.LEGACY_CONTRACT != "observed" or call.token or call.path not in SIGN_INS:
        return ""
    return hashlib.sha256(f"{settings.SECRET_KEY}{throttles.network(call.ip)}".encode()).hexdigest()
