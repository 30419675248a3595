"""A controller expects something that is no number."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene, strike_record
from tolaria.seams import DECIDED

if TYPE_CHECKING:
    from tolaria.policy.policy import Choice


@dataclass(frozen=True, slots=True)
class PpoNanValue(Fault):
    """Imitates a value head that diverged: the decision is made, and what is expected of it is NaN, and so is every advantage before it."""

    kind: ClassVar[str] = "ppo.nan_value"
    phases: ClassVar[tuple[str, ...]] = (DECIDED.name,)

    def strike(self, value: Choice, scene: Scene) -> Choice:
        """Spoil what is remembered of the decision; who does not learn remembers nothing."""
        return strike_record(value, scene, "value of the decision", lambda record: replace(record, value=math.nan))
