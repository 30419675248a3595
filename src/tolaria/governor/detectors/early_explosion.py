"""A loss far above chance before there is a history of losses to compare with."""

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


class EarlyExplosion:
    """Counted: with too few clean samples for statistics, the loss is above the absolute gate and above 3 times chance.

    It is an explosion like any other, so its strikes and those of `LossExplosion` are counted together.
    """

    def __init__(self, limits: Limits) -> None:
        self._config = limits.config
        self._threshold = max(limits.explosion_loss, limits.config.multiplier * limits.chance_loss)

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """The loss is above the threshold, and the window is not full enough for any other judgement."""
        known = window.statistics()
        if known is not None and known.samples >= self._config.samples_min:
            return None
        # A comparison that is written so that NaN is an alarm.
        if vitals.val_loss <= self._threshold:
            return None
        evidence = f"loss {vitals.val_loss:.4g} above {self._threshold:.4g} in the first steps of a life"
        return Alarm("loss_explosion", self._config.strikes, vitals.val_loss, self._threshold, evidence)
