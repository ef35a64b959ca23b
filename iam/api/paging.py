"""Lists a page at a time, the same way everywhere."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from ninja import Field, Schema


class Page(Schema):
    """Which page is asked for."""

    page: int = Field(1, ge=1, le=1_000_000)
    size: int = Field(20, ge=1, le=200)


class Paged(Schema):
    """What every list says beside its items."""

    total: int
    page: int
    size: int
    pages: int


def paged(objects: QuerySet[Any], asked: Page) -> dict[str, Any]:
    """One page of the query, and how much there is."""
    total, first = objects.count(), (asked.page - 1) * asked.size
    return {
        "items": list(objects[first : first + asked.size]), "total": total, "page": asked.page, "size": asked.size,
        "pages": -(-total // asked.size),
    }  # fmt: skip
