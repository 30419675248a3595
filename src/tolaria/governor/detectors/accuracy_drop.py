"""A network that suddenly answers far fewer questions rightly."""

import math
from statistics import fmean

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.mutual_information import patience
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

DROP = 0.30
RECENT = 10
# A healthy shock may last two steps; but it leaves answers that guess at worst, and none that are wrong more surely than that.
SUSPECT_AT, IN_A_ROW = 2, 3
GUESSED = 0.5


class AccuracyDrop:
    """Counted, and one says nothing: the accuracy is 30 points below the mean of the last ten clean steps.

    Three in a row are a collapse, six where the answers say as much of the inputs as ever, and two where fewer of them are
    right than half of what guessing would give.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._samples_min = limits.config.samples_min
        # The chance loss is ln C, and one guess of C is right.
        self._guessed = GUESSED * math.exp(-limits.chance_loss)

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """More than once, because a seed that begins to blend may shake the host for a step or two."""
        before = window.clean.accuracies
        if len(before) < self._samples_min:
            return None
        usual = fmean(before[-RECENT:])
        if not vitals.val_accuracy < usual - DROP:
            return None
        evidence = f"accuracy {vitals.val_accuracy:.3f} after a mean of {usual:.3f}"
        in_a_row = SUSPECT_AT if vitals.val_accuracy <= self._guessed else patience(IN_A_ROW, vitals, window, self._limits)
        return Alarm("accuracy_drop", in_a_row, vitals.val_loss, None, evidence, suspect_at=SUSPECT_AT)
