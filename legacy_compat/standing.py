"""Who answers each endpoint of the released service's surface: before a tenant moves, after, and once legacy is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from legacy_compat.contracts import observed
from legacy_compat.models import GivenUp
from legacy_compat.serve import ENDPOINTS
from legacy_compat.surface import GIVEN_UP, PASSED_ON, Endpoint

LEGACY, IAM, NOBODY = "legacy", "IAM", "nobody"


@dataclass(frozen=True)
class Standing:
    """LEGACY, IAM or NOBODY; and who has accepted that it is nobody."""

    endpoint: Endpoint
    before: str
    after: str
    finalized: str
    why: str = ""
    accepted: GivenUp | None = None

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def answers(self) -> tuple[str, str, str]:
        return self.before, self.after, self.finalized

    @property
    def open(self) -> bool:
        """Answered today, some day by nobody, and nobody has accepted that."""
        return self.before != NOBODY and NOBODY in (self.after, self.finalized) and self.accepted is None

    @property
    def blocks(self) -> bool:
        """Whether no tenant can be cut over until somebody has accepted it."""
        return self.open and self.after == NOBODY


def standings() -> Iterator[Standing]:
    """Of every endpoint, in order, as this deployment is set up: without a legacy system to pass on to, nobody answers today.

    Only the released service (the profile `observed`) has endpoints outside of /api/; whatever the other one has under it that is
    not served is passed on, as everything is.
    """
    accepted = {given.endpoint: given for given in GivenUp.objects.all()}
    before = LEGACY if settings.LEGACY_UPSTREAM_URL else NOBODY
    released = settings.LEGACY_CONTRACT == "observed"
    for endpoint in sorted({*ENDPOINTS, *PASSED_ON, *(GIVEN_UP if released else ())}):
        if released and endpoint.path in observed.ABSENT:
            continue
        why = PASSED_ON.get(endpoint) or GIVEN_UP.get(endpoint, "")
        after = before if endpoint in PASSED_ON else NOBODY if endpoint in GIVEN_UP else IAM
        finalized = IAM if after == IAM else NOBODY
        yield Standing(endpoint, before, after, finalized, why, accepted.get(endpoint.name))


def unanswered(*, finalized: bool = False) -> list[str]:
    """Names of endpoints that a cut-over (or finalizing) leaves without an answer, and that nobody has accepted by name."""
    return [each.name for each in standings() if (each.open if finalized else each.blocks)]
