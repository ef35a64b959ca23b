"""Two runs side by side."""

from __future__ import annotations

from dataclasses import replace

from migration_portal.runs.compare import Beside, compare
from migration_portal.runs.report import Report, TableReport
from tests import builders
from tests.console.browsing import browser, words
from tests.world import World

USERS = TableReport(
    source=1000, copied=990, quarantined=10, mismatched=0, reasons={"bad_email": 10}, seconds=40.0, rows_per_second=25
)


def of(run: int, seconds: float, **tables: TableReport) -> Report:
    return Report(run, "completed", dry_run=False, seconds=seconds, tables=tables)


def figure(found: list[Beside], name: str) -> Beside:
    return next(each for each in found if each.name == name)


def test_each_figure_stands_beside_the_others_with_its_change() -> None:
    faster = replace(
        USERS, seconds=20.0, rows_per_second=50, quarantined=20, copied=980, reasons={"bad_email": 5, "no_tenant": 15}
    )
    found = compare(of(1, 100.0, users=USERS), of(2, 50.0, users=faster))
    assert (figure(found[""], "Time").change, figure(found[""], "Time").verdict) == (-0.5, "ok")
    verdicts = {each.name: each.verdict for each in found["users"]}
    assert verdicts == {
        "Source": "", "Copied": "", "Quarantined": "warning", "Wrong": "", "Time": "ok", "Speed": "", "bad email": "ok",
        "no tenant": "warning",
    }  # fmt: skip
    assert figure(found["users"], "no tenant").change is None  # of nothing


def test_a_little_more_or_less_is_no_news() -> None:
    for before, after in ((100.0, 104.9), (1.0, 5.9)):
        assert figure(compare(of(1, before), of(2, after))[""], "Time").verdict == ""


def test_a_table_of_one_run_alone_has_no_figure_beside_it() -> None:
    found = compare(of(1, 1.0, users=USERS), of(2, 1.0, licenses=USERS))
    assert (figure(found["users"], "Copied").after, figure(found["licenses"], "Copied").before) == (None, None)


def test_the_page_compares_the_two_latest_or_those_that_are_asked_for(world: World) -> None:
    client = browser("viewer")
    assert client.get("/admin/runs/run/compare/")["Location"] == "/admin/runs/run/"
    world.sample()
    for _ in range(3):
        builders.migrated(world, dry_run=True)
    assert "Dry run 2" in words(client.get("/admin/runs/run/compare/"))
    page = client.get("/admin/runs/run/compare/?before=1&after=3")
    assert (page.context["before"].pk, page.context["after"].pk) == (1, 3)
    assert "Quarantined, rows" in words(page) and client.get("/admin/runs/run/compare/?after=77").status_code == 404
