"""Work that no client waits for."""

from __future__ import annotations

from collections.abc import Sequence

from legacy_compat.background import Background


def test_a_failure_behind_a_request_does_not_end_what_comes_after() -> None:
    done: list[int] = []

    def do(items: Sequence[int]) -> None:
        if 1 in items:
            raise RuntimeError("of this one only")
        done.extend(items)

    made = Background("test", do, most=2, pause=0.0)
    for number in (1, 2):
        made.put(number)
        made.join()
    assert done == [2]
