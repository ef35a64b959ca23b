"""Counting calls and wrong passwords in Redis, one count for every door; and what happens while Redis is away.

Wrong passwords count per user and network: who fails elsewhere does not lock a user out of where they sign in. From networks where
the user has not signed in before they also count together, so that many addresses do not make many tries.
Every key is a digest of bounded parts: whatever a client sends takes no more memory than one counter.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import redis
import structlog
from django.conf import settings
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond, storage, strategies
from limits.errors import StorageError

log = structlog.get_logger(__name__)
FAILURES, MINUTES = 10, 15
"""So many wrong passwords for a user from one network in so long; then that network waits."""
ELSEWHERE = 50
"""So many from all networks together where the user never signed in; NIST SP 800-63B §5.2.2 allows a hundred in a row."""
UNKNOWN = 50
"""So many names that nobody has, from one network; then it signs in only users who have signed in from it."""
SIGN_IN = "legacy-auth"
"""What is counted at the doors where people sign in; the name is of when only legacy endpoints counted."""
_KNOWN_FOR = timedelta(days=90)
_SECONDS, _REST_SECONDS = 0.5, 5.0
_HERE = RateLimitItemPerMinute(FAILURES, MINUTES)
_ELSEWHERE = RateLimitItemPerMinute(ELSEWHERE, MINUTES)
_UNKNOWN = RateLimitItemPerMinute(UNKNOWN, MINUTES)


class Unavailable(Exception):
    """Redis does not answer, and without it nothing is let through: THROTTLES_WITHOUT_REDIS."""


def network(ip: str) -> str:
    """What one customer has: an IPv4 address, or the first 64 bits of an IPv6 one. A mapped address is its IPv4 one."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address) >> 64 << 64))
    return str(address)


@dataclass(frozen=True)
class Count:
    """How often somebody may call, how often still, and for how many seconds."""

    limit: int
    remaining: int
    seconds: int


def count(kind: str, key: str, limit: int, *, write: bool) -> Count | None:
    """Count a call in this minute; None when it is one too many. Raises Unavailable."""
    item, counted = RateLimitItemPerMinute(limit), Count(limit, limit, 60)

    def ask() -> bool:
        nonlocal counted
        if not _limiter().hit(item, kind, _digest(key)):
            return False
        reset, remaining = _limiter().get_window_stats(item, kind, _digest(key))
        counted = Count(limit, remaining, max(0, int(reset - time.time())))
        return True

    return counted if _counted(ask, write=write) else None


def too_often(ip: str, *, write: bool = True) -> bool:
    """Whether one client has called more than AUTH_CALLS_A_MINUTE times, through any door. Raises Unavailable."""
    limit = settings.AUTH_CALLS_A_MINUTE
    return bool(limit) and count(SIGN_IN, network(ip), limit, write=write) is None


def over_limit(user: str, calls: int, seconds: int, *, write: bool) -> bool:
    """Whether the user has called the API more than `calls` times in `seconds`. Raises Unavailable."""
    limit = RateLimitItemPerSecond(calls, seconds)
    return not _counted(lambda: _limiter().hit(limit, "api", _digest(user)), write=write)


def locked(user: str, ip: str) -> bool:
    """Whether the user may not sign in from there now. Raises Unavailable."""

    def free() -> bool:
        if not _limiter().test(_HERE, "sign-in", _digest(user, network(ip))):
            return False
        if _redis(settings.REDIS_URL).exists(_known(user, ip)):
            return True
        elsewhere = _limiter().test(_ELSEWHERE, "sign-in", _digest(user))
        return elsewhere and _limiter().test(_UNKNOWN, "nobody", _digest(network(ip)))

    return not _counted(free, write=True)


def failed(users: Iterable[str], ip: str) -> None:
    """Count a failure against each user that was meant, or against the network when nobody was. Raises Unavailable."""

    def count() -> bool:
        meant = list(users)
        for user in meant:
            _limiter().hit(_HERE, "sign-in", _digest(user, network(ip)))
            if not _redis(settings.REDIS_URL).exists(_known(user, ip)):
                _limiter().hit(_ELSEWHERE, "sign-in", _digest(user))
        return bool(meant) or _limiter().hit(_UNKNOWN, "nobody", _digest(network(ip)))

    _counted(count, write=True)


def succeeded(user: str, ip: str) -> None:
    """Forget what failed here before, and know the network from now on."""

    def forget() -> bool:
        _limiter().clear(_HERE, "sign-in", _digest(user, network(ip)))
        return bool(_redis(settings.REDIS_URL).set(_known(user, ip), 1, ex=_KNOWN_FOR))

    _counted(forget, write=False)


def too_many_guesses(user: str) -> bool:
    """Whether somebody who is signed in has guessed at the password too often. Raises Unavailable."""
    return not _counted(lambda: _limiter().test(_HERE, "guess", _digest(user)), write=True)


def guessed(user: str) -> None:
    """A wrong password, where one had to be shown again. Raises Unavailable."""
    _counted(lambda: _limiter().hit(_HERE, "guess", _digest(user)), write=True)


_away_until: dict[str, float] = {}
"""By Redis' address, until when it is left alone."""


def _counted(ask: Callable[[], bool], *, write: bool) -> bool:
    """What Redis says; without it, True where that lets the caller through. A Redis that froze is left alone for a moment."""
    url = settings.REDIS_URL
    if time.monotonic() >= _away_until.get(url, 0.0):
        try:
            return ask()
        except (StorageError, redis.RedisError) as error:
            _away_until[url] = time.monotonic() + _REST_SECONDS
            log.error("throttles_without_redis", error=str(error)[:200], policy=settings.THROTTLES_WITHOUT_REDIS)
    if settings.THROTTLES_WITHOUT_REDIS == "allow" or (settings.THROTTLES_WITHOUT_REDIS == "reads" and not write):
        return True
    raise Unavailable


def _known(user: str, ip: str) -> str:
    return f"sign-in:known:{_digest(user, network(ip))}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _limiter() -> strategies.FixedWindowRateLimiter:
    return _counting(settings.REDIS_URL)


@cache
def _counting(url: str) -> strategies.FixedWindowRateLimiter:
    """Every process counts in Redis."""
    bounded = {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS, "wrap_exceptions": True}
    return strategies.FixedWindowRateLimiter(storage.storage_from_string(url, **bounded))  # type: ignore[arg-type]


@cache
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
