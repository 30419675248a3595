"""A controller decides with a probability that is no number."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene, strike_record
from tolaria.seams import DECIDED

if TYPE_CHECKING:
    from tolaria.policy.policy import Choice


@dataclass(frozen=True, slots=True)
class PpoNanLogits(Fault):
    """Imitates an overflow in the heads of the controller: the decision is made, and its log-probability is NaN."""

    kind: ClassVar[str] = "ppo.nan_logits"
    phases: ClassVar[tuple[str, ...]] = (DECIDED.name,)

    def strike(self, value: Choice, scene: Scene) -> Choice:
        """Spoil what is remembered of the decision; who does not learn remembers nothing."""
        return strike_record(value, scene, "log_prob of the decision", lambda record: replace(record, log_prob=math.nan))
