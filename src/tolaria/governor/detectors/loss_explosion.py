"""A loss far above everything seen, for several steps in a row."""

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


class LossExplosion:
    """Counted: the loss is above the absolute gate, above mean + 6 sigma and above 3 times the mean, all three.

    Silent until the clean window holds enough samples; `EarlyExplosion` is awake before.
    """

    def __init__(self, limits: Limits) -> None:
        self._config = limits.config
        self._absolute = limits.explosion_loss

    def threshold(self, window: LossWindow) -> float | None:
        """The one place where the threshold is computed, in nats: the highest of the gates, or None without enough samples."""
        known = window.statistics()
        if known is None or known.samples < self._config.samples_min:
            return None
        sigma_gate = known.mean + self._config.sigma * known.spread
        return max(self._absolute, sigma_gate, self._config.multiplier * known.mean)

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """The loss is above the threshold."""
        threshold = self.threshold(window)
        # A comparison that is written so that NaN is an alarm.
        if threshold is None or vitals.val_loss <= threshold:
            return None
        evidence = f"loss {vitals.val_loss:.4g} above {threshold:.4g}"
        return Alarm("loss_explosion", self._config.strikes, vitals.val_loss, threshold, evidence)
