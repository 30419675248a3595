"""A loss far above everything seen, for several steps in a row."""

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


class LossExplosion:
    """Counted: the loss is above the absolute gate, above mean + 6 sigma and above 3 times the mean, all three.

    Before the clean window holds enough samples the chance loss stands for the mean and there is no sigma gate, so that
    an explosion in the first steps of a life is not invisible.
    """

    def __init__(self, limits: Limits) -> None:
        self._config = limits.config
        self._absolute = limits.explosion_loss
        self._chance_loss = limits.chance_loss

    def threshold(self, window: LossWindow) -> float:
        """The one place where the threshold is computed, in nats: the highest of the gates."""
        known = window.statistics()
        if known is None or known.samples < self._config.samples_min:
            return max(self._absolute, self._config.multiplier * self._chance_loss)
        sigma_gate = known.mean + self._config.sigma * known.spread
        return max(self._absolute, sigma_gate, self._config.multiplier * known.mean)

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """The loss is above the threshold."""
        threshold = self.threshold(window)
        # A comparison that is written so that NaN is an alarm.
        if vitals.val_loss <= threshold:
            return None
        return Alarm("loss_explosion", False, vitals.val_loss, threshold, f"loss {vitals.val_loss:.4g} above {threshold:.4g}")
