"""A network that had learned something answers with uniform probabilities: its loss falls onto the chance loss."""

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


class Lobotomy:
    """Immediate: the clean mean was below 0.6 L0, and the loss lies within 6.5 % of L0, the task's chance loss."""

    def __init__(self, limits: Limits) -> None:
        self._samples_min = limits.config.samples_min
        self._history_max = limits.config.lobotomy_history * limits.chance_loss
        self._tolerance = limits.config.lobotomy_tolerance * limits.chance_loss
        self._chance_loss = limits.chance_loss

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """The loss is close to chance although the host was far better."""
        known = window.statistics()
        if known is None or known.samples < self._samples_min or known.mean >= self._history_max:
            return None
        distance = abs(vitals.val_loss - self._chance_loss)
        if not distance < self._tolerance:
            return None
        evidence = f"loss within {distance:.4f} of chance {self._chance_loss:.4f} after a mean of {known.mean:.4f}"
        return Alarm("lobotomy", 1, vitals.val_loss, self._chance_loss - self._tolerance, evidence)
