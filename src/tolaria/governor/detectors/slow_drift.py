"""A loss that leaves its best level so slowly that every statistic of recent losses goes along with it.

What drifts two percent a step is never far above the mean of the last twenty; it is far above the best level of its
life. The level is a median of ten, so that single steps, however bad, say nothing, and anomalies count in it, so that
a shift which other detectors only suspect is not suspected for ever.
"""

from statistics import median

from tolaria.governor.clean import LEVEL
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# How far the level may rise: to so many times the best one, and by that part of the chance loss above it.
TIMES, RISE = 2.0, 0.25
# What drifts goes on from where it was: so many losses in a row are within a factor of two.
STEADY = 5


class SlowDrift:
    """Counted: the level of the last ten losses is twice the best one of this life and a quarter of chance above it.

    As many in a row as of an explosion are a collapse where the losses are steady, and twice as many where they leap.
    """

    def __init__(self, limits: Limits) -> None:
        self._strikes = limits.config.strikes
        self._rise = RISE * limits.chance_loss

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """The present loss must be as high, so that a host that has come back is not held guilty of its past."""
        if window.best is None:
            return None
        threshold = max(TIMES * window.best, window.best + self._rise)
        if not vitals.val_loss > threshold:
            return None
        latest = [loss for loss in window.recent[-LEVEL + 1 :] if loss is not None]
        if len(latest) < LEVEL - 1:
            return None
        level = median([*latest, vitals.val_loss])
        if not level > threshold:
            return None
        # A host that blends badly may be set back for as long, but its losses leap.
        steady = [*latest, vitals.val_loss][-STEADY:]
        strikes = self._strikes if max(steady) < TIMES * min(steady) else 2 * self._strikes
        evidence = f"level {level:.4g} above {threshold:.4g}, the best of this life was {window.best:.4g}"
        return Alarm("slow_drift", strikes, vitals.val_loss, threshold, evidence)
