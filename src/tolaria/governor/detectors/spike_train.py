"""Explosions that never come often enough in a row, because a good step in between begins the count anew."""

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.loss_explosion import LossExplosion
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


class SpikeTrain:
    """Immediate: this loss is an explosion, and with it `strikes` of the last 2 * `strikes` - 1 losses are."""

    def __init__(self, limits: Limits) -> None:
        self._strikes = limits.config.strikes
        self._explosion = LossExplosion(limits)

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Spikes are kept out of the clean window, so the threshold is that of the losses between them."""
        threshold = self._explosion.threshold(window)
        if threshold is None or not vitals.val_loss > threshold:
            return None
        span = 2 * self._strikes - 1
        before = window.recent[-(span - 1) :] if span > 1 else ()
        spikes = 1 + sum(loss is None or loss > threshold for loss in before)
        # As many in a row are for `LossExplosion` to name.
        if spikes < self._strikes or all(loss is not None and loss > threshold for loss in before[len(before) - self._strikes + 1 :]):
            return None
        return Alarm("spike_train", 1, vitals.val_loss, threshold, f"{spikes} of {span} losses above {threshold:.4g}")
