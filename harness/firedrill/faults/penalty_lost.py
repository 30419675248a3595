"""The death penalty never arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from firedrill.faults.fault import Fault, Scene, Strike, digest
from tolaria.seams import PENALTY_OWED


@dataclass(frozen=True, slots=True)
class PenaltyLost(Fault):
    """Imitates bookkeeping that loses what a rollback costs. A positive control: with it the oracle `penalized` must turn red."""

    kind: ClassVar[str] = "penalty.lost"
    phases: ClassVar[tuple[str, ...]] = (PENALTY_OWED.name,)

    def strike(self, value: float, scene: Scene) -> float:
        """Nothing is owed."""
        lost = 0.0
        scene.witness(Strike("penalty", 1, digest(value), digest(lost), str(lost)))
        return lost
