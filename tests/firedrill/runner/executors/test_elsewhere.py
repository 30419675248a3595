from collections.abc import Callable

import pytest

from firedrill.runner.executors.elsewhere import Parcel, lost, recorded_here
from firedrill.runner.executors.executor import Work
from firedrill.runner.folder import CONTROL, ENDING, FAULTED
from firedrill.runner.verdict import End, Ending
from firedrill.scenario.cell import Cell


def test_what_came_back_lies_where_it_was_wanted(small: Cell, works: Callable[..., list[Work]]) -> None:
    (work,) = works(small)
    done = Parcel((("a.jsonl", b"one\n"), ("b.json", b"")), Ending(), 1.5).unpacked(work)
    assert (done.work, done.seconds) == (work, 1.5)
    assert (work.folder / "a.jsonl").read_bytes() == b"one\n"
    assert (work.folder / "b.json").read_bytes() == b""


@pytest.mark.xdist_group("processes")
def test_a_parcel_holds_all_that_was_recorded(small: Cell) -> None:
    parcel = recorded_here(small)
    assert {CONTROL, FAULTED, ENDING} <= dict(parcel.files).keys()
    assert parcel.ending.how is End.ENDED


def test_a_cell_that_is_lost_accuses_nobody_but_the_harness(small: Cell, works: Callable[..., list[Work]]) -> None:
    (work,) = works(small)
    done = lost(work, "the node is gone")
    assert done.ending.how is End.HARNESS_FAILED
    assert "the node is gone" in done.ending.detail
