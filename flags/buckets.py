"""Which subjects a percentage covers: stable, independent between flags, and only ever growing with the percentage.

`bucket = (int(sha256(f"{group or name}.{salt}.{kind}:{id}")[:8], 16) * 100000) >> 32`; a subject is covered iff
`bucket < percentage * 1000`. The name is part of what is hashed, so that two flags at 10 % do not hit the same people.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Literal

BUCKETS = 100_000
Kind = Literal["user", "tenant"]


def bucket(name: str, salt: str, kind: Kind, id: str) -> int:
    """0 … 99,999 for a subject; `name` is the flag's, or its group's where several flags cover the same subjects."""
    digest = hashlib.sha256(f"{prefix(name, salt, kind)}{id}".encode()).hexdigest()
    return (int(digest[:8], 16) * BUCKETS) >> 32


def covered(bucket: int, percentage: Decimal) -> bool:
    """Whether a percentage (0 … 100, in thousandths) covers the bucket."""
    return bucket < percentage * (BUCKETS // 100)


def prefix(name: str, salt: str, kind: Kind) -> str:
    """What is hashed before the id."""
    return f"{name}.{salt}.{kind}:"
