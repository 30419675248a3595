"""A learning rate that is lower for a while, because its host kept collapsing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateCut:
    """`scale` times the learning rate until the host has stepped `until` batches.

    Counted in batches that the host has stepped and still has behind it: what a rollback undoes is trained gently again.
    """

    scale: float = 1.0
    until: int = 0

    def at(self, stepped: int) -> float:
        """What is left of the learning rate after so many batches."""
        return self.scale if stepped < self.until else 1.0

    def deepened(self, factor: float, stepped: int, batches: int) -> "RateCut":
        """One cut more, on top of what still holds, for so many batches from now on."""
        return RateCut(self.at(stepped) * factor, max(self.until, stepped + batches))
