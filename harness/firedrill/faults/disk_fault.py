"""What faults of the disk have in common: they strike the n-th of some file operations while a checkpoint is stored."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from firedrill.faults.disk_operations import Operation, answered
from firedrill.faults.fault import Fault, Scene, Strike, check_positive_count, digest
from tolaria.seams import CHECKPOINT_DUE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class DiskFault(Fault):
    """It strikes the `nth` of the operations that `concern` it, counted from 1; every other one is done as ever."""

    nth: int = 1

    phases: ClassVar[tuple[str, ...]] = (CHECKPOINT_DUE.name,)
    aside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive_count("nth", self.nth)

    def concerns(self, operation: str) -> bool:
        """Whether operations of this name are counted."""
        return operation == "write"

    @abstractmethod
    def befall(self, operation: Operation, tell: Callable[[int, str], None]) -> Any:  # What the system would answer.
        """What becomes of the struck operation; `tell` is the witness of so many bytes or calls, and of what came of them."""

    def strike(self, value: Callable[[], Path], scene: Scene) -> Callable[[], Path]:
        """The same act of storing on a disk that fails in the middle of it; a count that is never reached strikes nothing."""
        return partial(self._stored, value, scene)

    def _stored(self, store: Callable[[], Path], scene: Scene) -> Path:
        numbers = count(1)

        def answer(operation: Operation) -> Any:  # What the system answers.
            if not self.concerns(operation.name) or next(numbers) != self.nth:
                return operation.done()
            return self.befall(operation, partial(self._tell, scene, operation))

        with answered(answer):
            return store()

    def _tell(self, scene: Scene, operation: Operation, elements: int, came_to: str) -> None:
        place = f"{operation.name} number {self.nth} of a checkpoint"
        scene.witness(Strike(place, elements, digest("done"), digest(came_to), came_to))
