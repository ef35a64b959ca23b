"""Reads that the IAM answers for a tenant whose writes still go to legacy. What it cannot answer well and soon, legacy answers."""

from __future__ import annotations

import hashlib
from functools import cache

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.http import HttpRequest

from flags import reads
from iam.sign_in import canonical
from legacy_compat import iam_away, paths, serve, versions
from legacy_compat.call import LegacyCall
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer

_ALIKE = frozenset({
    "auth/me", "auth/v1/users/me/profile", "auth/users/{id}", "tenants/{id}", "licenses/{id}",
})  # fmt: skip
"""What a path names by its key, and the caller's own profile. Lists are another matter: the IAM's are of one tenant alone."""
_MARKED_MS = round(reads.FRESH_SECONDS * 1000) + 500
_REDIS_SECONDS = 0.5
_MOST_MS = 1000
_ALIVE = "wrote:since"
"""When Redis began to keep marks, by its own clock: one that was emptied since knows of no write before."""
log = structlog.get_logger(__name__)


def answer(request: HttpRequest, call: LegacyCall, contract: Contract) -> Answer | None:
    """The IAM's answer; None where legacy is to be asked: also for what would not be a 200, and after the caller's own write."""
    template = serve.template(call.path)
    if call.method != "GET" or template not in _ALIKE or not call.user or call.version is not versions.OLD:
        return None
    if iam_away.READS.now or iam_away.REVOCATIONS.now or paths.slash(request, template):
        return None
    try:
        if not reads.current(call.tenant) or _may_have_written(call):
            return None
        return _served(call, contract)
    except Exception as error:  # whatever it is, legacy is there to be asked
        if isinstance(error, DatabaseError):
            iam_away.READS.begin()
        log.info("read_passed_on", endpoint=serve.name_of(call.path), error=type(error).__name__)
        return None


def _served(call: LegacyCall, contract: Contract) -> Answer | None:
    """Within a second, and without a write: its tenant's rows are legacy's."""
    with transaction.atomic(using="iam"):
        with connections["iam"].cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{_MOST_MS}ms"])
            cursor.execute("SET TRANSACTION READ ONLY")
        found = serve.answer(call, contract)
    return found if found.status == 200 and found.content is not None else None


def wrote(call: LegacyCall) -> None:
    """Legacy has answered a write: its caller's reads are legacy's until catch-up has brought it over for certain. Never raises."""
    if not call.user or not reads.wanted():
        return
    try:
        _redis(settings.REDIS_URL).set(_mark(call), 1, px=_MARKED_MS)
    except redis.RedisError:
        try:
            reads.begin_again(call.tenant)
        except DatabaseError as error:
            log.warning("write_not_marked", error=str(error)[:200])


def _may_have_written(call: LegacyCall) -> bool:
    """Raises RedisError."""
    pipeline = _redis(settings.REDIS_URL).pipeline(transaction=False)
    pipeline.exists(_mark(call))
    pipeline.get(_ALIVE)
    pipeline.time()
    marked, since, (seconds, _) = pipeline.execute()
    if since is None:
        _redis(settings.REDIS_URL).set(_ALIVE, seconds, nx=True)
    return bool(marked) or since is None or seconds - int(since) <= reads.BEGIN_SECONDS


def _mark(call: LegacyCall) -> str:
    user = canonical(call.user) or call.user
    return "wrote:" + hashlib.sha256(f"{call.tenant}/{user}".encode()).hexdigest()


@cache
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
