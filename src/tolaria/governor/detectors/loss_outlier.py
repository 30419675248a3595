"""A loss that is unlike the others, which is a reason to wait and none to roll back."""

import math
from statistics import median

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# A robust z of the logarithm, and a multiple of the median; both must be exceeded.
Z_MAX, TIMES = 6.0, 2.0
# The median absolute deviation of a normal distribution, in standard deviations.
MAD_OF_NORMAL = 0.6745
# The smallest deviation of a log-loss that is believed: losses that repeat to the last digit say nothing about the next.
MAD_MIN = 0.01
# Rounding makes a loss of a perfect host zero.
LOSS_MIN = 1e-6
IN_A_ROW = 3


class LossOutlier:
    """Warns only, from three in a row on: log-loss more than 6 robust deviations above its median, and twice the loss."""

    def __init__(self, limits: Limits) -> None:
        self._samples_min = limits.config.samples_min

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Medians, so that the first outliers, which enter the window, do not move what they are measured by."""
        before = window.clean.losses
        if len(before) < self._samples_min or not vitals.val_loss > TIMES * window.clean.median_loss:
            return None
        logs = [math.log(max(loss, LOSS_MIN)) for loss in before]
        middle = median(logs)
        deviation = max(MAD_MIN, median(abs(log - middle) for log in logs))
        z = MAD_OF_NORMAL * (math.log(max(vitals.val_loss, LOSS_MIN)) - middle) / deviation
        if not z > Z_MAX:
            return None
        threshold = math.exp(middle + max(Z_MAX * deviation / MAD_OF_NORMAL, math.log(TIMES)))
        evidence = f"loss {vitals.val_loss:.4g}, {z:.1f} robust deviations above {math.exp(middle):.4g}"
        return Alarm("loss_outlier", None, vitals.val_loss, threshold, evidence, suspect_at=IN_A_ROW)
