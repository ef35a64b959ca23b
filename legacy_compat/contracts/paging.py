"""How a list is asked for: by the number of a page, or by rows to skip."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MOST = 2**31 - 1


class Sent(BaseModel):
    """A body or a query. What was not sent is not in `given`."""

    model_config = ConfigDict(extra="ignore")

    @property
    def given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class Page(Sent):
    """As `Skipping`: `number` is what the client gave for the first, `first` the first row, from 0, and `size` how many."""

    page: int = Field(1, ge=1, le=MOST)
    size: int = Field(10, ge=1, le=200)

    @property
    def number(self) -> int:
        return self.page

    @property
    def first(self) -> int:
        return (self.page - 1) * self.size


class UsersPage(Page):
    size: int = Field(100, ge=1, le=MOST)


class Skipping(Sent):
    skip: int = Field(0, ge=0, le=MOST)
    limit: int = Field(100, ge=0, le=MOST)

    @property
    def number(self) -> int:
        return self.skip

    @property
    def first(self) -> int:
        return self.skip

    @property
    def size(self) -> int:
        return self.limit


UsersAsked = type[UsersPage] | type[Skipping]
