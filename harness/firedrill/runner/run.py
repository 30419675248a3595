"""Cells, recorded by an executor and judged here from what they left on disk."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from firedrill.runner.assess import result_of
from firedrill.runner.executors.executor import Executor, Work
from firedrill.runner.executors.local import Local
from firedrill.runner.keep import Keep
from firedrill.runner.result import CellResult
from firedrill.scenario.cell import Cell

OnResult = Callable[[CellResult], None]


def run_cells(cells: Iterable[Cell], jobs: int, on_result: OnResult) -> list[CellResult]:
    """Run every cell on this machine, at most `jobs` at once, and keep nothing but the results; see `execute`."""
    with Local(jobs) as executor:
        return execute(cells, executor, on_result)


def execute(cells: Iterable[Cell], executor: Executor, on_result: OnResult, keep: Keep | None = None) -> list[CellResult]:
    """Run and judge every cell; results in the order of the cells, each also told as soon as it is there.

    A cell is asked for when there is room for it, so that a generator may look at the results so far, or end in time.
    A `KeyboardInterrupt` ends what is under way and is passed on; what was told stays told. With `keep` what a cell recorded is
    kept, and a cell that lies there finished is judged again instead of being run again.
    """
    results: dict[int, CellResult] = {}

    def tell(number: int, result: CellResult) -> None:
        results[number] = result
        on_result(result)

    with tempfile.TemporaryDirectory(prefix="firedrill-", dir=keep.scratch if keep else None) as scratch:

        def works() -> Iterator[Work]:
            for number, cell in enumerate(cells):
                known = keep.finished(cell) if keep else None
                if known is not None:
                    tell(number, known)
                    continue
                folder = Path(scratch) / f"cell-{number}"
                folder.mkdir()
                yield Work(number, cell, folder)

        # What is under way ends before its folder goes.
        with closing(executor.record(works())) as recording:
            for done in recording:
                cell, folder = done.work.cell, done.work.folder
                result = result_of(cell, folder, done.ending, done.seconds)
                if keep is None:
                    shutil.rmtree(folder)
                else:
                    keep.put(cell, folder, done.ending, done.seconds)
                tell(done.work.number, result)
    return [results[number] for number in sorted(results)]
