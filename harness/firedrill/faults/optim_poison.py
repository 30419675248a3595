"""An optimizer remembers what never was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from firedrill.faults.fault import Fault, Scene
from firedrill.faults.target import TENSOR_PHASES, Target, strike_elements

if TYPE_CHECKING:
    from tolaria.seams import Observed, Trainee

FIELDS = {"momentum": "momentum_buffer", "exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq", "step": "step"}


@dataclass(frozen=True, slots=True)
class OptimPoison(Fault):
    """Imitates optimizer state that was lost, sharded wrongly or loaded from another run: one field is the same number everywhere.

    A second moment of 0 makes giant steps of small gradients, a step counter of 0 corrects a bias that is not there.
    """

    field: Literal["momentum", "exp_avg", "exp_avg_sq", "step"]
    value: float

    kind: ClassVar[str] = "optim.poison"
    phases: ClassVar[tuple[str, ...]] = TENSOR_PHASES

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Write the number into this field of every parameter of the host; an optimizer without such a field is no strike."""
        everywhere = replace(scene, target=Target(optimizer=f"host/*/{FIELDS[self.field]}"))
        return strike_elements(value, everywhere, lambda elements: elements.new_full(elements.shape, self.value))
