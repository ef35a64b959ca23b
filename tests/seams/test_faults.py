"""Every fault that `make seams` plants still fits the code. Whether the tests notice it is what `make seams` says."""

from __future__ import annotations

from tests.seams.faults import ROOT, faults


def test_every_seam_is_where_its_fault_says() -> None:
    for fault in faults():
        text = (ROOT / fault.file).read_text(encoding="utf-8")
        assert fault.applied(text) != text, fault.name


def test_every_fault_names_tests_that_exist() -> None:
    assert [test for fault in faults() for test in fault.tests if not (ROOT / test.split("::")[0]).exists()] == []


def test_no_fault_stands_twice() -> None:
    names = [fault.name for fault in faults()]
    assert len(names) == len(set(names))
