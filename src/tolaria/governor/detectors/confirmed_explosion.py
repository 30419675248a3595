"""A loss that explodes, believed later where the answers of the very same step say otherwise."""

from dataclasses import replace

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.loss_explosion import LossExplosion
from tolaria.governor.detectors.mutual_information import patience
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


class ConfirmedExplosion:
    """Counted: as `LossExplosion`, and twice as many strikes where the answers say as much of the inputs as ever."""

    def __init__(self, limits: Limits) -> None:
        self._explosion = LossExplosion(limits)
        self._limits = limits

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Where nobody looks at the answers, or the loss is too high for such answers, the loss alone decides."""
        found = self._explosion.alarm(vitals, window)
        if found is None:
            return None
        return replace(found, collapse_at=patience(self._limits.config.strikes, vitals, window, self._limits))
