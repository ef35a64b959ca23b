"""Reads that the IAM answers for a tenant whose writes still go to legacy. Whatever it cannot answer well, legacy answers."""

from __future__ import annotations

import hashlib
from functools import cache

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest

from flags import reads
from iam import throttles, totp
from legacy_compat import paths, serve, versions
from legacy_compat.call import LegacyCall
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served.auth import LivesInLegacy
from legacy_compat.served.licences import AskLegacy

_MARKED_MS = round(reads.FRESH_SECONDS * 1000) + 500
_REDIS_SECONDS = 0.5
_LEGACY_ANSWERS = (
    serve.PassOn, LivesInLegacy, AskLegacy, DatabaseError, throttles.Unavailable, totp.Unreadable, redis.RedisError,
)  # fmt: skip
log = structlog.get_logger(__name__)


def answer(request: HttpRequest, call: LegacyCall, contract: Contract) -> Answer | None:
    """The IAM's answer; None where legacy is to be asked: also for what would not be a 200, and after the caller's own write."""
    template = serve.template(call.path)
    if call.method != "GET" or template is None or not call.user or call.version is not versions.OLD:
        return None
    try:
        if not reads.current(call.tenant) or _redis(settings.REDIS_URL).exists(_mark(call)):
            return None
        if paths.slash(request, template):
            return None
        found = serve.answer(call, contract)
    except _LEGACY_ANSWERS as error:
        log.info("read_passed_on", endpoint=serve.name_of(call.path), error=type(error).__name__)
        return None
    return found if found.status == 200 else None


def wrote(call: LegacyCall) -> None:
    """Legacy has answered a write: its caller's reads are legacy's until catch-up has brought it over for certain."""
    if not call.user or not reads.wanted():
        return
    try:
        _redis(settings.REDIS_URL).set(_mark(call), 1, px=_MARKED_MS)
    except redis.RedisError:
        reads.begin_again(call.tenant)


def _mark(call: LegacyCall) -> str:
    return "wrote:" + hashlib.sha256(f"{call.tenant}/{call.user}".encode()).hexdigest()


@cache
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
