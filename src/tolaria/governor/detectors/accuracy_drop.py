"""A network that suddenly answers far fewer questions rightly."""

from statistics import fmean

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

DROP = 0.30
RECENT = 10
IN_A_ROW = 2


class AccuracyDrop:
    """Counted, two in a row, and one says nothing: the accuracy is 30 points below the mean of the last ten clean steps."""

    def __init__(self, limits: Limits) -> None:
        self._samples_min = limits.config.samples_min

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Twice, because a seed that begins to blend may shake the host for one step."""
        before = window.clean.accuracies
        if len(before) < self._samples_min:
            return None
        usual = fmean(before[-RECENT:])
        if not vitals.val_accuracy < usual - DROP:
            return None
        evidence = f"accuracy {vitals.val_accuracy:.3f} after a mean of {usual:.3f}"
        return Alarm("accuracy_drop", IN_A_ROW, vitals.val_loss, None, evidence, suspect_at=IN_A_ROW)
