"""A loss that falls onto the chance loss, believed at once unless the answers of the very same step say otherwise.

A healthy spike may land near the chance loss by accident, and a single step is all that `Lobotomy` asks for. But whoever
answers with uniform probabilities says nothing of the input, from the first such step on; a spike comes from a few answers
that are sure and wrong, while the others say as much as ever.
"""

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.lobotomy import Lobotomy
from tolaria.governor.detectors.mutual_information import INFORMED
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# What is left of the usual information in answers that contradict a lobotomy.
LEFT = 0.5


class ConfirmedLobotomy:
    """Immediate: as `Lobotomy`, unless the answers are known to hold more than half of their usual mutual information."""

    def __init__(self, limits: Limits) -> None:
        self._lobotomy = Lobotomy(limits)
        self._samples_min = limits.config.samples_min
        self._floor = INFORMED * limits.chance_loss

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Where nobody looks at the answers, or they never said anything, the loss alone decides."""
        found = self._lobotomy.alarm(vitals, window)
        if found is None or vitals.outputs is None or len(window.clean.outputs) < self._samples_min:
            return found
        usual = window.clean.median_information
        return None if usual > self._floor and vitals.outputs.mutual_information > LEFT * usual else found
