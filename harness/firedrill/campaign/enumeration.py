"""Everything once: every plant of the tiny subject, and an error at the n-th operation of the governor's own work, for every n."""

from collections.abc import Iterator

from firedrill.campaign.plants import BATCH, NAN, STEP, STRUCK, built, cell_of, space, why_not
from firedrill.runner.exposure import Topology
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell
from firedrill.scenario.schema import JSON
from firedrill.scenario.selection import fits

# Here one operation has many passages: tensors that are copied, checks, slots that are pruned, detectors that are asked.
COUNTED = ("snapshot", "verify", "restore", "prune", "penalty", "detector")
# No host of this size has so many tensors; a series that gets here does not count.
NTH_MAX = 200
DURING_A_SNAPSHOT = frozenset({"snapshot", "verify"})


def planted(device: str, words: str = "") -> Iterator[Cell]:
    """Every plant that makes sense, and whose name has the words."""
    return (cell_of(plant) for plant in space(device) if not why_not(plant) and fits(words, plant.name))


class FailAtEvery:
    """The series of every counted operation; each ends at the first n that never comes."""

    def __init__(self, device: str, words: str = "") -> None:
        self._device, self._words = device, words
        self._ended: set[str] = set()

    def cells(self) -> Iterator[Cell]:
        """One after another; how long a series is shows while it runs."""
        for operation in (name for name in COUNTED if fits(self._words, f"fail-at-{name}")):
            for nth in range(1, NTH_MAX + 1):
                if operation in self._ended:
                    break
                yield failing_at(operation, nth, self._device)

    def end(self, cell: Cell, result: CellResult) -> None:
        """Hear of a cell in which the n-th operation never came."""
        if result.verdict is Verdict.NOT_INJECTED:
            self._ended.add(series_of(cell))


def series_of(cell: Cell) -> str:
    """The operation that a cell of a series fails in."""
    return cell.scenario.name.split("-")[2]


def failing_at(operation: str, nth: int, device: str) -> Cell:
    """An error at the n-th passage of an operation: of a snapshot that a NaN follows, of judging that NaN, or of the rollback for it."""
    at: JSON = {"step": STEP, "env": STRUCK}
    after = STEP + 1 if operation in DURING_A_SNAPSHOT else STEP
    faults: list[JSON] = [
        {"at": at, "do": "governor.raise_in", "with": {"operation": operation, "nth": nth}},
        {"at": {"step": after, "env": STRUCK, "batch": BATCH}, **NAN},
    ]
    return built(f"fail-at-{operation}-{nth}", device, Topology.BLENDED, faults, ["recovered"], "enumerate")
