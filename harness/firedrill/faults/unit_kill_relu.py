"""Units never fire again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene
from firedrill.faults.target import TENSOR_PHASES, strike_elements
from tolaria.seams import GRADIENTS_READY, Observed

if TYPE_CHECKING:
    from tolaria.seams import Trainee

# No input of a unit reaches it, so its ReLU gives zero for every sample, and no gradient leads back.
OUT_OF_REACH = -1e3


@dataclass(frozen=True, slots=True)
class UnitKillRelu(Fault):
    """Imitates dying units: one large step drives a bias so far down that its ReLU never opens again; a tanh is as stuck at its end.

    The target names biases, and every picked element of them is a unit.
    """

    kind: ClassVar[str] = "unit.kill_relu"
    phases: ClassVar[tuple[str, ...]] = tuple(phase for phase in TENSOR_PHASES if phase != GRADIENTS_READY.name)
    targets: ClassVar[bool] = True

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Write a bias out of reach for every unit of the target."""
        assert scene.target is not None
        trainee = value.trainee if isinstance(value, Observed) else value
        other = [name for name, _ in scene.target.select(trainee) if not name.endswith(".bias")]
        if other:
            raise CouldNotStrike(f"a unit is killed by its bias, and {other[0]} is none")
        return strike_elements(value, scene, lambda elements: elements.new_full(elements.shape, OUT_OF_REACH))
