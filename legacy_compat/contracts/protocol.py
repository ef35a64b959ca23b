"""What a profile of the legacy endpoints must answer. The modules `documented` and `observed` are the two profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from iam.licences import Verdict
from iam.models import License, Tenant, User
from iam.tokens import Pair
from legacy_compat.contracts.paging import UsersAsked
from legacy_compat.contracts.shapes import Answer


@dataclass(frozen=True)
class Credentials:
    """Whom a login names, and with what: `tenant` is empty where it names none."""

    name: str
    password: str
    tenant: str


class Contract(Protocol):
    """One profile. Each answer is in its own words, byte for byte."""

    WRONG: Answer
    NOT_AUTHENTICATED: Answer
    BAD_TOKEN: Answer
    BAD_REFRESH: Answer
    INACTIVE: Answer
    FORBIDDEN: Answer
    NOT_FOUND: Answer
    NO_USER: Answer
    NO_TENANT: Answer
    NO_LICENCE: Answer
    LOGGED_OUT: Answer
    CHANGED: Answer
    WRONG_CURRENT: Answer
    OWN_ACCOUNT: Answer
    USER_DELETED: Answer
    SLUG_TAKEN: Answer
    UNAVAILABLE: Answer
    ABSENT: frozenset[str]
    """Paths that other profiles serve and this one does not."""
    USERS: UsersAsked
    """How the list of users is asked for."""
    USER_FIELDS: tuple[str, ...]

    def credentials(self, content_type: str, form: Mapping[str, Any]) -> Credentials | Answer:
        """Out of a login request; the answer where it names none."""

    def missing(self, *names: str) -> Answer:
        """422 with one entry for each missing field, in the order given."""

    def tokens(self, pair: Pair, user: User | None) -> Answer:
        """A login's answer, or a refresh's (`user` None)."""

    def user(self, user: Any, /) -> dict[str, Any]: ...

    def users(self, users: Sequence[Any], total: int, first: int, size: int, /) -> Answer: ...

    def tenant(self, tenant: Tenant, /) -> dict[str, Any]: ...

    def validation(self, licence: License | None, verdict: Verdict, /) -> Answer: ...
