"""Shrinking: the smallest scenario that still fails in the same way, found by running ever simpler ones for real.

A simpler scenario is accepted only if its cell has the same verdict and the same oracle fails with the same key. When no
proposal of any pass is accepted any more the scenario is 1-minimal: nothing of it can be taken away alone.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from firedrill.campaign.failure import Failure, failure_of, failures_of
from firedrill.campaign.reductions import PASSES
from firedrill.runner.executors.executor import Executor
from firedrill.runner.result import CellResult
from firedrill.runner.run import execute
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import InvalidScenario, load_text
from firedrill.scenario.schema import JSON
from firedrill.scenario.token import token_of
from firedrill.scenario.write import document, text


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What is left, what it fails by, and how many cells were run. It is not `minimal` where time ran out or somebody interrupted."""

    cell: Cell
    tree: JSON
    failure: Failure
    runs: int
    minimal: bool
    interrupted: bool = False

    @property
    def yaml(self) -> str:
        """The scenario as a file."""
        return text(self.tree)


class NothingToShrink(ValueError):
    """The cell ends as it should."""


class Shrinker:
    """One search. `tell` hears of every simpler scenario that was accepted, `deadline` is a second of the monotonic clock."""

    def __init__(self, cell: Cell, executor: Executor, tell: Callable[[str], None], deadline: float = float("inf")) -> None:
        self._executor, self._tell, self._deadline = executor, tell, deadline
        self._path = Path("scenarios") / f"{cell.scenario.id}.yaml"
        self._known: dict[str, frozenset[Failure]] = {}
        self._tree = document(cell)
        self._cell = cell
        self.runs = 0

    def search(self) -> Shrunk:
        """Shrink until nothing more can go. The cell itself is run first, to know what it fails by; `NothingToShrink` where it does not."""
        (first,) = self._run([self._cell])
        if first.passed:
            raise NothingToShrink(f"{first.id} ended {first.verdict.value}, as expected")
        failure = failure_of(first)
        self._known[token_of(self._cell)] = frozenset(failures_of(first))
        self._tell(f"it fails by {failure}")
        try:
            minimal = self._to_the_end(failure)
        except KeyboardInterrupt:
            return Shrunk(self._cell, self._tree, failure, self.runs, minimal=False, interrupted=True)
        return Shrunk(self._cell, self._tree, failure, self.runs, minimal)

    def _to_the_end(self, failure: Failure) -> bool:
        while True:
            before = self._tree
            for simplify in PASSES:
                while time.monotonic() < self._deadline and self._accept_one(simplify(self._tree), failure):
                    self._tell(f"{self.runs} runs: {' '.join(simplify.__name__.split('_'))}")
            if time.monotonic() >= self._deadline:
                return False
            if self._tree == before:
                return True

    def _accept_one(self, proposals: Iterator[JSON], failure: Failure) -> bool:
        # One look at the clock for each batch: a search in vain may be long.
        sensible = self._sensible(proposals)
        while time.monotonic() < self._deadline and (batch := list(islice(sensible, self._executor.jobs))):
            unknown = [cell for _, cell in batch if token_of(cell) not in self._known]
            for cell, result in zip(unknown, self._run(unknown), strict=True):
                self._known[token_of(cell)] = frozenset(failures_of(result))
            for tree, cell in batch:
                if failure in self._known[token_of(cell)]:
                    self._tree, self._cell = tree, cell
                    return True
        return False

    def _sensible(self, proposals: Iterator[JSON]) -> Iterator[tuple[JSON, Cell]]:
        for tree in proposals:
            try:
                (cell,) = cells(load_text(text(tree), self._path))
            except InvalidScenario:
                continue
            # What was already seen to fail otherwise takes no place in a batch.
            yield tree, cell

    def _run(self, batch: list[Cell]) -> list[CellResult]:
        self.runs += len(batch)
        return execute(batch, self._executor, lambda _: None)
