"""A campaign: many cells, run while there is time, and the proof that it would have seen a bug.

The proof is a canary. The first of its cells that were rolled back are run again on a subject with a planted bug, and one of
them must turn red by the oracle that the bug is for. A campaign that cannot find it has found nothing else either.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from firedrill.campaign.failure import failures_of
from firedrill.runner.executors.executor import Executor
from firedrill.runner.keep import Keep
from firedrill.runner.result import CellResult
from firedrill.runner.run import OnResult, execute
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell
from firedrill.scenario.token import cell_of

# The oracle that the planted bug is for, and how many cells may miss it: not every rollback follows momentum.
CANARY_ORACLE = "optimizer_reset"
CANARY_CELLS_MAX = 12

# A cell that takes the place of one that is over, or None.
Again = Callable[[Cell, CellResult], Cell | None]


class Campaign:
    """Runs cells and keeps what is finished. `deadline` is a second of the monotonic clock, after which no cell begins."""

    def __init__(self, executor: Executor, on_result: OnResult, deadline: float = float("inf"), keep: Keep | None = None) -> None:
        self._executor, self._on_result, self._deadline, self._keep = executor, on_result, deadline, keep
        self.results: list[CellResult] = []
        # Cells in which some fault never struck: they say nothing, and are no failure of what was drawn.
        self.idle = 0
        self.interrupted = False
        self.out_of_time = False
        self.canary: CellResult | None = None

    @property
    def complete(self) -> bool:
        """Whether every cell was run that was to be run."""
        return not self.interrupted and not self.out_of_time

    @property
    def red(self) -> list[CellResult]:
        """The cells that did not end as expected."""
        return [result for result in self.results if result.counts_as_failed or result.verdict is Verdict.HARNESS_ERROR]

    def run(self, cells: Iterable[Cell], again: Again | None = None) -> None:
        """Run cells until there are no more, the time is up, or somebody interrupts.

        With `again` a cell in which a fault never struck is no result, and what it answers is run in its place.
        """
        known: dict[str, Cell] = {}
        follow_up: list[Cell] = []

        def on_result(result: CellResult) -> None:
            if again is not None and result.verdict is Verdict.NOT_INJECTED:
                self.idle += 1
                more = again(known[result.id], result)
                follow_up.extend([more] if more else [])
                return
            self.results.append(result)
            self._on_result(result)

        def taken(source: Iterable[Cell]) -> Iterator[Cell]:
            for cell in source:
                if time.monotonic() >= self._deadline:
                    self.out_of_time = True
                    return
                known[cell.id] = cell
                yield cell

        try:
            execute(taken(cells), self._executor, on_result, self._keep)
            while follow_up:
                waiting, follow_up[:] = list(follow_up), []
                execute(taken(waiting), self._executor, on_result, self._keep)
        except KeyboardInterrupt:
            self.interrupted = True

    def look_for_canary(self) -> None:
        """Plant the bug into cells of this campaign until it is seen; it has its own time, because without it nothing counts."""
        planted = islice(planted_cells(self.results), CANARY_CELLS_MAX)
        try:
            while self.canary is None and (batch := list(islice(planted, self._executor.jobs))):
                self.canary = next(filter(sees_canary, execute(batch, self._executor, lambda _: None)), None)
        except KeyboardInterrupt:
            self.interrupted = True


def planted_cells(results: Sequence[CellResult]) -> Iterator[Cell]:
    """The cells that were rolled back under a policy that forgets, in their order, with the bug in them."""
    for result in results:
        if result.rollbacks and result.verdict is Verdict.RECOVERED:
            cell = cell_of(result.token)
            if cell.scenario.subject.governor.optimizer != "restore":
                yield replace(cell, scenario=replace(cell.scenario, subject=replace(cell.scenario.subject, kind="canary")))


def sees_canary(result: CellResult) -> bool:
    """Whether a cell with the planted bug is red, and by the right oracle."""
    return any(failure.oracle == CANARY_ORACLE and failure.verdict is Verdict.WRONG_RECOVERY for failure in failures_of(result))
