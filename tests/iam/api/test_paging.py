"""Lists, a page at a time."""

from __future__ import annotations

import pytest

from tests.iam.conftest import Api
from tests.legacy_compat.conftest import make_user


def test_lists_come_in_pages_and_can_be_searched(api: Api) -> None:
    for n in range(4):
        make_user(api.tenant, full_name=f"Needle {n}")
    found = api.call("GET", "/users?page=2&size=3&search=needle").json()
    assert (found["total"], found["pages"], len(found["items"])) == (4, 2, 1)


@pytest.mark.parametrize("query", ["page=0", "size=201", "page=x"])
def test_a_page_that_cannot_be_is_a_problem(api: Api, query: str) -> None:
    answer = api.call("GET", f"/users?{query}")
    assert answer.status_code == 422 and answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2)])
def test_the_last_page_is_never_empty(api: Api, total: int, pages: int) -> None:
    for n in range(total):
        make_user(api.tenant, full_name=f"Needle {n}")
    found = api.call("GET", "/users?size=2&search=needle").json()
    assert (found["total"], found["pages"]) == (total, pages)
