"""A loss that falls onto the chance loss, believed at once unless the answers of the very same step say otherwise.

A healthy spike may land near the chance loss by accident, and a single step is all that `Lobotomy` asks for. But whoever
answers with uniform probabilities says nothing of the input, from the first such step on; a spike comes from a few answers
that are sure and wrong, while the others say as much as ever.
"""

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.lobotomy import Lobotomy
from tolaria.governor.detectors.mutual_information import contradicted
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


class ConfirmedLobotomy:
    """Immediate: as `Lobotomy`, unless the answers are known to hold more than half of their usual mutual information."""

    def __init__(self, limits: Limits) -> None:
        self._lobotomy = Lobotomy(limits)
        self._limits = limits

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Where nobody looks at the answers, or they never said anything, the loss alone decides."""
        found = self._lobotomy.alarm(vitals, window)
        return None if found is None or contradicted(vitals, window, self._limits) else found
