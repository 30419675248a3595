import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from firedrill.runner.executors.executor import Work
from firedrill.runner.executors.local import Local, without_main
from firedrill.runner.folder import CONTROL
from firedrill.scenario.cell import Cell

pytestmark = pytest.mark.xdist_group("processes")


def test_cells_of_one_subject_share_a_control_run_which_goes_when_the_executor_is_closed(
    small: Cell, works: Callable[..., list[Work]]
) -> None:
    with Local(1) as executor:
        first, second = executor.record(works(small, small))
        one, other = (done.work.folder / CONTROL for done in (first, second))
        assert one.samefile(other)
        shared = one.stat().st_nlink
    assert one.stat().st_nlink == shared - 1


def test_a_child_does_not_load_the_program_that_started_it() -> None:
    program = sys.modules["__main__"]
    with without_main():
        assert sys.modules["__main__"] is not program
        assert not vars(sys.modules["__main__"]).get("__file__")
    assert sys.modules["__main__"] is program


def test_a_closed_executor_records_nothing(small: Cell, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="closed"):
        next(Local(1).record([Work(0, small, tmp_path)]))
