"""Somebody else draws from the process's random generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import SLOT_PHASES, Fault, Realism, Scene, Strike, check_positive_count, tensors_digest

if TYPE_CHECKING:
    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class RngDisturb(Fault):
    """Imitates a library in the same process that shuffles, drops out or augments: the global generator moves on by `draws` numbers.

    Whoever draws from streams of their own notices nothing.
    """

    draws: int = 8

    kind: ClassVar[str] = "rng.disturb"
    phases: ClassVar[tuple[str, ...]] = SLOT_PHASES
    realism: ClassVar[Realism] = "real"

    def __post_init__(self) -> None:
        check_positive_count("draws", self.draws)

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Draw twice on the host's device: the second draw differs exactly where the first one moved the generator."""
        somewhere = next(iter(value.host.parameters())).detach()
        first, second = (somewhere.new_empty(self.draws).uniform_() for _ in range(2))
        drawn = 2 * self.draws
        scene.witness(Strike("global generator", drawn, tensors_digest([first]), tensors_digest([second]), str(second[0].item())))
        return value
